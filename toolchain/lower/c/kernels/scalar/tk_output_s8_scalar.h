/* tk_output_s8_scalar.h - from a channel's sum of products to its int8 code, by the short way.
 *
 *   code = clamp(zero_point + requantize(sum, multiplier / 2, -right), low, high)       see tk_requantize.h
 *
 * bias        int32, with the input's zero point folded in: sums start from it
 * multiplier  twice the Q31 multiplier, which is in [2^30, 2^31), wrapped at 32 bits
 * right       in [1, 22]
 * offset      2 * zero_point + 1 of the output;  low, high: codes
 *
 * |sum| is below 2^30 for every input, so nothing overflows. With m = multiplier + 2^32, the first rounding
 * is (sum * m + 2^31) >> 32 = sum + (sum * multiplier + 2^31) >> 32. The second adds half of 2^right, the
 * zero point times 2^right, and -1 below zero, where the sum's sign is as good as its multiple's: they
 * differ only where the multiple is 0, which gives 0 either way. Reentrant; no memory, no libc.
 */
#ifndef TK_OUTPUT_S8_SCALAR_H
#define TK_OUTPUT_S8_SCALAR_H

#include "tk_requantize.h"

typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *right;
    int16_t offset;
    int8_t low;
    int8_t high;
} tk_output_s8_scalar_params;

/* A channel's: half = offset * 2^(right - 1); for several sums of one channel. */
typedef struct {
    int32_t multiplier;
    int32_t right;
    int32_t half;
} tk_scale_s8_scalar;

static inline tk_scale_s8_scalar tk_scale_of_s8_scalar(const tk_output_s8_scalar_params *p, int32_t channel) {
    const int32_t right = p->right[channel];
    tk_scale_s8_scalar scale = {p->multiplier[channel], right, p->offset * (1 << (right - 1))};
    return scale;
}

static inline int8_t tk_output_s8_scalar(const tk_output_s8_scalar_params *p, tk_scale_s8_scalar scale,
                                         int32_t sum) {
#ifdef TK_NO_LONG_MULTIPLY
    /* Under a relu, half the sums need no products. */
    if (sum <= 0 && p->low >= p->offset >> 1) {
        return (int8_t)p->low;
    }
    /* As tk_doubling_high_mul, where no partial sum overflows. */
    const int32_t s0 = (int16_t)sum, s1 = (sum - s0) >> 16;
    const uint32_t m = (uint32_t)scale.multiplier >> 1;
    const int32_t m0 = (int32_t)(m & 0xFFFF), m1 = (int32_t)(m >> 16);
    const int32_t high = 2 * s1 * m1 + ((((s0 * m0) >> 16) + s0 * m1 + s1 * m0 + (1 << 14)) >> 15);
#else
    const int64_t product = (int64_t)sum * scale.multiplier;
    const int32_t high = sum + (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
    const int32_t code = (high + (sum >> 31) + scale.half) >> scale.right;
    return (int8_t)(code < p->low ? p->low : code > p->high ? p->high : code);
}

#endif
