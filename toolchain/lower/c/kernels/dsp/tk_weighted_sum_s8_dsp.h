/* tk_weighted_sum_s8_dsp.h - elementwise add and sub of codes, scaled by one multiplication for each.
 *
 *   out = clamp((share(a) + share(b) + offset) / 2^21)     share(x) = x * 256 * x_weight / 2^16
 *
 * Both divisions round down.
 *
 * a, b, out, overlap, parameters: tk_weighted_sum_s8.h. Four elements at a time. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_WEIGHTED_SUM_S8_DSP_H
#define TK_WEIGHTED_SUM_S8_DSP_H

#include "tk_weighted_sum_s8.h"

void tk_weighted_sum_s8_dsp(const tk_weighted_sum_s8_params *p, const int8_t *a, const int8_t *b,
                            int8_t *out);

#endif
