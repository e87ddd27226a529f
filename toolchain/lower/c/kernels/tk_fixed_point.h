/* tk_fixed_point.h - reciprocals of numbers with 31 fraction bits.
 *
 * Source: gemmlowp fixedpoint/fixedpoint.h. Reentrant; no memory, no libc.
 */
#ifndef TK_FIXED_POINT_H
#define TK_FIXED_POINT_H

#include "tk_requantize.h"

/* 1 / (1 + x), both Q0.31, x in [0, 1): 1 / d for d = (1 + x) / 2 by three Newton-Raphson steps in Q2.29,
 * starting from 48/17 - 32/17 d, then halved. The first value is off by 1/17 of 1 / d at most, so that of all
 * that gemmlowp saturates only the last can be too large. */
static inline int32_t tk_one_over_one_plus(int32_t x) {
    const int32_t half = (x >> 1) + (1 << 30);
    int32_t inverse = 1515870810 + tk_doubling_high_mul(half, -1010580540);
    for (int32_t step = 0; step < 3; step++) {
        int32_t rest = (1 << 29) - tk_doubling_high_mul(half, inverse);
        inverse += tk_doubling_high_mul(inverse, rest) * 4;
    }
    return inverse < 1 << 30 ? inverse * 2 : INT32_MAX;
}

/* raw * 2^bits, saturating; bits 1 or 2. */
static inline int32_t tk_shift_left_saturating(int32_t raw, int32_t bits) {
    int64_t shifted = (int64_t)raw * (1 << bits);
    return shifted > INT32_MAX ? INT32_MAX : shifted < INT32_MIN ? INT32_MIN : (int32_t)shifted;
}

/* Zero bits above the highest one; value > 0. */
static inline int32_t tk_leading_zeros(uint32_t value) {
    int32_t count = 0;
    for (; !(value & 0x80000000u); value <<= 1) {
        count++;
    }
    return count;
}

/* 2^62 / (value * 2^zeros) for value > 0 with `zeros` leading zeros, Q0.31 in (1/2, 1]. */
static inline int32_t tk_reciprocal(uint32_t value, int32_t zeros) {
    return tk_one_over_one_plus((int32_t)((value << zeros) - 0x80000000u));
}

#endif
