/* tk_reduce_min_s16.h - the smallest code along any axes.
 *
 * Operands and parameters: tk_extreme_s16.h. Reentrant; no memory, no libc.
 */
#ifndef TK_REDUCE_MIN_S16_H
#define TK_REDUCE_MIN_S16_H

#include "tk_extreme_s16.h"

void tk_reduce_min_s16(const tk_extreme_s16_params *restrict p, const void *x, void *out);

#endif
