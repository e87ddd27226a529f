/* tk_sum_s8_mve.h - elementwise sum or difference, on cores with MVE.
 *
 *   out = zero_point + clamp(requantize(a * gain + offset + sign * t, multiplier, shift))
 *   t   = requantize(b * 2^20 + b_offset, b_multiplier, b_shift)
 *
 * a         the operand of the larger scale, whose multiplier is 1/2: gain is 2^19 or -2^19, and offset takes its
 *           zero point away; b_offset = -2^20 * zero point of b
 * sign      1, or -1 where b is taken away
 * b_fix, fix  1 where b_shift, shift is below 0, else 0; neither is above 0
 * zero_point  of the output;  low, high: the range of its codes
 *
 * Operands and broadcasting: tk_binary_s8_mve.h; requantize: tk_requantize.h, with all its roundings.
 * Source: TensorFlow Lite reference/integer_ops/add.h. Reentrant; no libc.
 */
#ifndef TK_SUM_S8_MVE_H
#define TK_SUM_S8_MVE_H

#include "tk_binary_s8_mve.h"

typedef struct {
    int32_t b_offset;
    int32_t b_multiplier;
    int32_t b_shift;
    int32_t sign;
    int32_t offset;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t fix;
    int32_t b_fix;
    int32_t gain;
    int32_t low;
    int32_t high;
    tk_binary_s8_mve_walk walk;
} tk_sum_s8_mve_params;

void tk_sum_s8_mve(const tk_sum_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
