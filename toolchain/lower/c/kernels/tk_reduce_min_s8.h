/* tk_reduce_min_s8.h - the smallest code along any axes.
 *
 * Operands and parameters: tk_extreme_s8.h. Reentrant; no memory, no libc.
 */
#ifndef TK_REDUCE_MIN_S8_H
#define TK_REDUCE_MIN_S8_H

#include "tk_extreme_s8.h"

void tk_reduce_min_s8(const tk_extreme_s8_params *restrict p, const int8_t *x, int8_t *out);

#endif
