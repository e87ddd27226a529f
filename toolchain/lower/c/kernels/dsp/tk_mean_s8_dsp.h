/* tk_mean_s8_dsp.h - mean or sum over any axes but the last ones that stay, four of their codes at a time.
 *
 * x, out, parameters: tk_mean_s8.h, with kept_stride[2] = 1. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_MEAN_S8_DSP_H
#define TK_MEAN_S8_DSP_H

#include "tk_mean_s8.h"

void tk_mean_s8_dsp(const tk_mean_s8_params *p, const int8_t *x, int8_t *out);

#endif
