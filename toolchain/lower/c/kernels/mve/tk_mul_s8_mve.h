/* tk_mul_s8_mve.h - elementwise product, on cores with MVE.
 *
 *   out = zero_point + clamp(requantize((a - a_zero_point) * (b - b_zero_point), multiplier, shift))
 *
 * a, b    [rows][size] int8, a_step and b_step bytes from one row to the next, 0 where one serves all
 * out     [rows][size] int8; may be a or b where their elements coincide, or begin before them
 * a_offset, b_offset  -a_zero_point, -b_zero_point
 * fix                 1 where shift is below 0, else 0; it is not above 0
 * zero_point          of the output;  low, high: the range of its codes
 *
 * requantize: tk_requantize.h, with all its roundings. Four elements at a time.
 * Source: TensorFlow Lite reference/integer_ops/mul.h. Reentrant; no libc.
 */
#ifndef TK_MUL_S8_MVE_H
#define TK_MUL_S8_MVE_H

#include <stdint.h>

typedef struct {
    int32_t a_offset;
    int32_t b_offset;
    int32_t multiplier;
    int32_t shift;
    int32_t fix;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    int32_t rows;
    int32_t size;
    int32_t a_step;
    int32_t b_step;
} tk_mul_s8_mve_params;

void tk_mul_s8_mve(const tk_mul_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
