/* tk_minimum_s8.h - the smaller of two codes.
 *
 *   out = a < b ? a : b
 *
 * Operands, broadcasting and parameters: tk_pair_s8.h. out may be a or b where their elements coincide.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_MINIMUM_S8_H
#define TK_MINIMUM_S8_H

#include "tk_pair_s8.h"

void tk_minimum_s8(const tk_pair_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
