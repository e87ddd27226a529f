/* tk_prelu_s8.h - a where it is above 0, else a * b: a slope that may be an array of its own.
 *
 *   out = zero_point + clamp(requantize(a, a_multiplier, a_shift))         a >= 0
 *   out = zero_point + clamp(requantize(a * b, b_multiplier, b_shift))     a < 0
 *
 * Operands, broadcasting and parameters: tk_binary_s8.h. out may be a or b where their elements coincide.
 * Source: TensorFlow Lite reference/prelu.h. Reentrant; no memory, no libc.
 */
#ifndef TK_PRELU_S8_H
#define TK_PRELU_S8_H

#include "tk_binary_s8.h"

void tk_prelu_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
