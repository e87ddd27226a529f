/* tk_gather_row_s8_dsp.h - the values under one row of a convolution's window, side by side.
 *
 * p       of tk_conv2d_s8_dsp.h, where x and padding are told, too
 * y, left where in x the row's first tap lies, which may be outside
 * run     [kernel_width][depth]  int8
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_GATHER_ROW_S8_DSP_H
#define TK_GATHER_ROW_S8_DSP_H

#include "tk_conv2d_s8_dsp.h"

void tk_gather_row_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t y, int32_t left,
                          int8_t *run);

#endif
