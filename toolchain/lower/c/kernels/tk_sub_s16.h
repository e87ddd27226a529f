/* tk_sub_s16.h - elementwise difference of int16 codes.
 *
 *   out = clamp(requantize(common_scale(a) - common_scale(b), multiplier, shift))
 *
 * Operands, broadcasting and parameters: tk_binary_s16.h. out may be a or b where their elements coincide.
 * Source: TensorFlow Lite reference/sub.h. Reentrant; no memory, no libc.
 */
#ifndef TK_SUB_S16_H
#define TK_SUB_S16_H

#include "tk_binary_s16.h"

void tk_sub_s16(const tk_binary_s16_params *restrict p, const void *a, const void *b, void *out);

#endif
