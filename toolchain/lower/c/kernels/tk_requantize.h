/* tk_requantize.h - move a 32-bit value from one scale to another.
 *
 *   round(round(value * 2^left * multiplier / 2^31) / 2^right)   left = max(shift, 0), right = max(-shift, 0)
 *
 * value       int32: an accumulator, or a code minus its zero point
 * multiplier  Q31 in [2^30, 2^31), or 0   } from toolchain.ir.quant.fixed_point
 * shift       [-31, 30], > 0 = left       }
 *
 * Two roundings, as TensorFlow Lite's reference kernels do (gemmlowp/fixedpoint: RoundingDivideByPOT of
 * SaturatingRoundingDoublingHighMul). The first rounds halves up, the second away from zero. The left shift
 * wraps at 32 bits. Reentrant; no memory, no libc; one 32 x 32 -> 64 bit multiplication.
 * Needs a compiler that shifts negative numbers arithmetically and wraps on conversion to int32_t: all do.
 */
#ifndef TK_REQUANTIZE_H
#define TK_REQUANTIZE_H

#include <stdint.h>

/* round(a * b / 2^31), halves up. One of a, b must be above -2^31. */
static inline int32_t tk_doubling_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* round(value / 2^exponent), halves away from zero. |value| < 2^31 - 1, exponent in [0, 31]. */
static inline int32_t tk_divide_by_power_of_two(int32_t value, int32_t exponent) {
    if (exponent == 0) {
        return value;
    }
    return (((value + (value >> 31)) >> (exponent - 1)) + 1) >> 1;
}

static inline int32_t tk_requantize(int32_t value, int32_t multiplier, int32_t shift) {
    if (shift > 0) {
        return tk_doubling_high_mul((int32_t)((uint32_t)value << shift), multiplier);
    }
    return tk_divide_by_power_of_two(tk_doubling_high_mul(value, multiplier), -shift);
}

/* zero_point + value as an int8 code in [zero_point + low, zero_point + high]; any value. */
static inline int8_t tk_code_s8(int32_t value, int32_t zero_point, int32_t low, int32_t high) {
    return (int8_t)(zero_point + (value < low ? low : value > high ? high : value));
}

#endif
