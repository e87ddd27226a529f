/* tk_weighted_sum_s8_scalar.h - elementwise add and sub of codes, scaled by one multiplication for each.
 *
 *   out = clamp((a * a_weight + b * b_weight + offset) / 2^21)   rounded down
 *
 * a, b, out, overlap, parameters: tk_weighted_sum_s8.h. Reentrant; no memory, no libc.
 */
#ifndef TK_WEIGHTED_SUM_S8_SCALAR_H
#define TK_WEIGHTED_SUM_S8_SCALAR_H

#include "tk_weighted_sum_s8.h"

void tk_weighted_sum_s8_scalar(const tk_weighted_sum_s8_params *p, const int8_t *a, const int8_t *b,
                               int8_t *out);

#endif
