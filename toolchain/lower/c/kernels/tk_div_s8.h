/* tk_div_s8.h - elementwise quotient, by the reciprocal of b.
 *
 *   out = zero_point + clamp(a / b * a_multiplier * 2^(a_shift - 31))
 *
 * By 0: the largest or smallest code, as a's sign says; 0 / 0 is 0. A quotient beyond 32 bits saturates.
 * Operands, broadcasting and parameters: tk_binary_s8.h. out may be a or b where their elements coincide.
 * Source: TensorFlow Lite reference/div.h. Reentrant; no memory, no libc.
 */
#ifndef TK_DIV_S8_H
#define TK_DIV_S8_H

#include "tk_binary_s8.h"

void tk_div_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
