/* tk_requantize_s16.h - from values on a fine scale to int16 codes, which have no zero point.
 *
 *   tk_requantize_once:  round(value * multiplier / 2^shift), halves upwards
 *
 * value       int64, |value| < 2^47: a sum of int16 x int8 products with its bias
 * multiplier  [2^14, 2^15), or 0  } from toolchain.runtime.kernels_int16.reduced
 * shift       [1, 46]             }
 *
 * One rounding, with the multiplier of tk_requantize.h rounded to 16 bits before. Source: TensorFlow Lite
 * Micro kernels/internal/common.cc, MultiplyByQuantizedMultiplier of an int64. Reentrant; no memory, no libc.
 */
#ifndef TK_REQUANTIZE_S16_H
#define TK_REQUANTIZE_S16_H

#include "tk_requantize.h"

static inline int64_t tk_requantize_once(int64_t value, int32_t multiplier, int32_t shift) {
    return (value * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
}

/* value as an int16 code in [low, high]. */
static inline int16_t tk_code_s16(int64_t value, int32_t low, int32_t high) {
    return (int16_t)(value < low ? low : value > high ? high : value);
}

#endif
