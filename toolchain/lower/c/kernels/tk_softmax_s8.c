#include "tk_softmax_s8.h"

#include "tk_fixed_point.h"

static void softmax_row(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    int32_t largest = -128;
    for (int32_t i = 0; i < p->depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    uint32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        sum += (uint32_t)((p->exp[largest - x[i]] >> 11) + 1) >> 1;
    }
    const int32_t headroom = tk_leading_zeros(sum), inverse = tk_reciprocal(sum, headroom);
    /* Of the share's 31 fraction bits 8 remain, one more for rounding; the sum has 12 integer bits. */
    const int32_t right = headroom > 3 ? 12 - headroom + 31 - 9 : 31;
    for (int32_t i = 0; i < p->depth; i++) {
        const int32_t share = tk_doubling_high_mul(inverse, p->exp[largest - x[i]]);
        const int32_t steps = ((share >> right) + 1) >> 1;
        out[i] = (int8_t)(steps < 255 ? steps - 128 : 127);
    }
}

void tk_softmax_s8(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        softmax_row(p, x, out);
        x += p->depth;
        out += p->depth;
    }
}
