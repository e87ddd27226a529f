#include "tk_transpose_s8.h"

static void copy_strided(const int8_t *x, int32_t stride, int32_t count, int8_t *out) {
    for (int32_t i = 0; i < count; i++) {
        out[i] = x[i * stride];
    }
}

static int8_t *copy_block(const int32_t *shape, const int32_t *stride, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < shape[0]; i++) {
        for (int32_t j = 0; j < shape[1]; j++) {
            for (int32_t k = 0; k < shape[2]; k++) {
                copy_strided(x + i * stride[0] + j * stride[1] + k * stride[2], stride[3], shape[3], out);
                out += shape[3];
            }
        }
    }
    return out;
}

void tk_transpose_s8(const tk_transpose_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            out = copy_block(p->shape + 2, p->stride + 2, x + i * p->stride[0] + j * p->stride[1], out);
        }
    }
}
