#include "tk_argmax_s16.h"

static int32_t largest(const int16_t *x, int32_t depth, int32_t stride) {
    int32_t best = 0;
    for (int32_t i = 1; i < depth; i++) {
        best = x[i * stride] > x[best * stride] ? i : best;
    }
    return best;
}

void tk_argmax_s16(const tk_argmax_s16_params *p, const void *x, void *out) {
    const int16_t *codes = x;
    int32_t *place = out;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->inner; i++) {
            *place++ = largest(codes + row * p->depth * p->inner + i, p->depth, p->inner);
        }
    }
}
