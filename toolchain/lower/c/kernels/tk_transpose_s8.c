#include "tk_transpose_s8.h"

static void copy_strided(const int8_t *x, int32_t stride, int32_t count, int8_t *out) {
    for (int32_t i = 0; i < count; i++) {
        out[i] = x[i * stride];
    }
}

void tk_transpose_s8(const tk_transpose_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                copy_strided(x + i * p->stride[0] + j * p->stride[1] + k * p->stride[2], p->stride[3],
                             p->shape[3], out);
                out += p->shape[3];
            }
        }
    }
}
