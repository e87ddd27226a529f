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
 * wraps at 32 bits. Reentrant; no memory, no libc; one 32 x 32 -> 64 bit multiplication, or four of 16 x 16
 * bits on cores without one (Armv6-M, Armv8-M Baseline; elsewhere if TK_NO_LONG_MULTIPLY is defined).
 * Needs a compiler that shifts negative numbers arithmetically and wraps on conversion to int32_t: all do.
 */
#ifndef TK_REQUANTIZE_H
#define TK_REQUANTIZE_H

#include <stdint.h>

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define TK_NO_LONG_MULTIPLY
#endif

/* round(a * b / 2^31), halves up. One of a, b must be above -2^31. */
#ifdef TK_NO_LONG_MULTIPLY
/* a = 2^16 a1 + a0 with a0 in [-2^15, 2^15), b = 2^16 b1 + b0 with b0 in [0, 2^16): every partial product
 * fits 32 bits. Of a0 * b0 what lies below 2^16 changes no result; of a1 * b0 what lies below 2^15 is added
 * apart, so that no sum overflows. */
static inline int32_t tk_doubling_high_mul(int32_t a, int32_t b) {
    const int32_t a0 = (int16_t)a, a1 = (a >> 16) + (a0 < 0), b0 = b & 0xFFFF, b1 = b >> 16;
    const int32_t outer = a1 * b0, inner = ((a0 * b0) >> 16) + a0 * b1 + (1 << 14) + (outer & 0x7FFF);
    return (int32_t)(2 * (uint32_t)(a1 * b1) + (uint32_t)(outer >> 15) + (uint32_t)(inner >> 15));
}
#else
static inline int32_t tk_doubling_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}
#endif

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
