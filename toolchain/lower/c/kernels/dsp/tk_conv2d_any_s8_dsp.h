/* tk_conv2d_any_s8_dsp.h - 2-D convolution; no bounds on sums and shifts.
 *
 * All as in tk_conv2d_s8.h, with rows by tk_any_row_s8_dsp.h. Reentrant; libc: as tk_dsp.h and tk_patch_s8.h.
 */
#ifndef TK_CONV2D_ANY_S8_DSP_H
#define TK_CONV2D_ANY_S8_DSP_H

#include "tk_conv2d_s8.h"

void tk_conv2d_any_s8_dsp(const tk_conv2d_s8_params *p, const int8_t *x, int8_t *scratch, int8_t *out);

#endif
