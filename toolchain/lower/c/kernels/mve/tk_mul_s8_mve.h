/* tk_mul_s8_mve.h - elementwise product, on cores with MVE.
 *
 *   out = zero_point + clamp(requantize((a - a_zero_point) * (b - b_zero_point), multiplier, shift))
 *
 * a_offset, b_offset  -a_zero_point, -b_zero_point
 * fix                 1 where shift is below 0, else 0; it is not above 0
 * zero_point          of the output;  low, high: the range of its codes
 *
 * Operands and broadcasting: tk_binary_s8_mve.h; requantize: tk_requantize.h, with all its roundings.
 * Source: TensorFlow Lite reference/integer_ops/mul.h. Reentrant; no libc.
 */
#ifndef TK_MUL_S8_MVE_H
#define TK_MUL_S8_MVE_H

#include "tk_binary_s8_mve.h"

typedef struct {
    int32_t a_offset;
    int32_t b_offset;
    int32_t multiplier;
    int32_t shift;
    int32_t fix;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    tk_binary_s8_mve_walk walk;
} tk_mul_s8_mve_params;

void tk_mul_s8_mve(const tk_mul_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
