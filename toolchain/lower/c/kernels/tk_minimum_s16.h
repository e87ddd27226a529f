/* tk_minimum_s16.h - the smaller of two codes.
 *
 *   out = a < b ? a : b
 *
 * Operands, broadcasting and parameters: tk_pair_s16.h. out may be a or b where their elements coincide.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_MINIMUM_S16_H
#define TK_MINIMUM_S16_H

#include "tk_pair_s16.h"

void tk_minimum_s16(const tk_pair_s16_params *restrict p, const void *a, const void *b, void *out);

#endif
