#include "tk_softmax_s8.h"

#include "tk_fixed_point.h"

static int32_t largest_of(const int8_t *x, int32_t depth) {
    int32_t largest = x[0];
    for (int32_t i = 1; i < depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

static void softmax_row(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    const int32_t largest = largest_of(x, p->depth);
    uint32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        sum += (uint32_t)tk_divide_by_power_of_two(p->exp[largest - x[i]], 12);
    }
    const int32_t headroom = tk_leading_zeros(sum);
    const int32_t inverse = tk_reciprocal(sum, headroom);
    const int32_t exponent = 12 - headroom + 31 - 8; /* 12 integer bits in the sum, 8 fraction bits out */
    for (int32_t i = 0; i < p->depth; i++) {
        int32_t share = tk_doubling_high_mul(inverse, p->exp[largest - x[i]]);
        out[i] = tk_code_s8(exponent > 31 ? 0 : tk_divide_by_power_of_two(share, exponent), -128, 0, 255);
    }
}

void tk_softmax_s8(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        softmax_row(p, x + row * p->depth, out + row * p->depth);
    }
}
