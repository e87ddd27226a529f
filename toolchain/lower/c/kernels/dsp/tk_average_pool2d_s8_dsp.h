/* tk_average_pool2d_s8_dsp.h - mean of each window's codes, four channels at a time.
 *
 * x, out, parameters, rounding, overlap: tk_average_pool2d_s8.h; 4 channels or more, windows of 256 pixels
 * or fewer. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_AVERAGE_POOL2D_S8_DSP_H
#define TK_AVERAGE_POOL2D_S8_DSP_H

#include "tk_pool2d_s8.h"

void tk_average_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out);

#endif
