#include "tk_concat_s8.h"

#include <string.h>

void tk_concat_s8(const tk_concat_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        memcpy(out + row * p->pitch + p->offset, x + row * p->run, (size_t)p->run);
    }
}
