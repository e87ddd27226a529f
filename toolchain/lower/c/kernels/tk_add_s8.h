/* tk_add_s8.h - elementwise sum.
 *
 *   out = zero_point + clamp(requantize(common_scale(a) + common_scale(b), multiplier, shift))
 *
 * Operands, broadcasting and parameters: tk_binary_s8.h. out may be a or b where their elements coincide.
 * Source: TensorFlow Lite reference/integer_ops/add.h. Reentrant; no memory, no libc.
 */
#ifndef TK_ADD_S8_H
#define TK_ADD_S8_H

#include "tk_binary_s8.h"

void tk_add_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
