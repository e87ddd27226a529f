#include "tk_pad_s8.h"

#include <string.h>

void tk_pad_s8(const tk_pad_s8_params *p, const int8_t *x, int8_t *out) {
    memset(out, p->code, (size_t)p->size);
    out += p->offset;
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                memcpy(out + i * p->stride[0] + j * p->stride[1] + k * p->stride[2], x, (size_t)p->shape[3]);
                x += p->shape[3];
            }
        }
    }
}
