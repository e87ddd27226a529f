/* tk_mul_s16.h - elementwise product of int16 codes.
 *
 *   out = clamp(requantize(a * b, multiplier, shift))
 *
 * Operands, broadcasting and parameters: tk_binary_s16.h. out may be a or b where their elements coincide.
 * Source: TensorFlow Lite reference/integer_ops/mul.h. Reentrant; no memory, no libc.
 */
#ifndef TK_MUL_S16_H
#define TK_MUL_S16_H

#include "tk_binary_s16.h"

void tk_mul_s16(const tk_binary_s16_params *restrict p, const void *a, const void *b, void *out);

#endif
