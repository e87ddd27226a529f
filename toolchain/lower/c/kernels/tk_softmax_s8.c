#include "tk_softmax_s8.h"

#include "tk_requantize.h"

/* raw * 2^bits, saturating; bits 1 or 2. */
static int32_t shift_left_saturating(int32_t raw, int32_t bits) {
    int64_t shifted = (int64_t)raw * (1 << bits);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* 1 / (1 + x), both Q0.31, x in [0, 1): 1 / d for d = (1 + x) / 2 by three Newton-Raphson steps in Q2.29,
 * starting from 48/17 - 32/17 d, then halved. */
static int32_t one_over_one_plus(int32_t x) {
    const int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t inverse = 1515870810 + tk_doubling_high_mul(half, -1010580540);
    for (int32_t step = 0; step < 3; step++) {
        int32_t rest = (1 << 29) - tk_doubling_high_mul(half, inverse);
        inverse += shift_left_saturating(tk_doubling_high_mul(inverse, rest), 2);
    }
    return shift_left_saturating(inverse, 1);
}

static int32_t leading_zeros(uint32_t value) {
    int32_t count = 0;
    for (; !(value & 0x80000000u); value <<= 1) {
        count++;
    }
    return count;
}

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
    const int32_t headroom = leading_zeros(sum);
    const int32_t inverse = one_over_one_plus((int32_t)((sum << headroom) - 0x80000000u));
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
