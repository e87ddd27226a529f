/* tk_depthwise_line_s8_dsp.h - depthwise convolution with any window, columns one by one; codes are low to
 * high.
 *
 * For a stride and a dilation of 1 in columns. record of an output channel: see tk_depthwise_window_s8_dsp.h.
 * Its weights are spread in scratch, behind the planes: the pairs that meet a pair of columns, for the window
 * that begins with it and for the next one, (0, 1), (nothing, 0), (2, 3), (1, 2) .. Planes are as wide as a
 * multiple of four columns and whole pairs ask.
 *
 * x, out, scratch, overlap: tk_depthwise_s8_dsp.h. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_DEPTHWISE_LINE_S8_DSP_H
#define TK_DEPTHWISE_LINE_S8_DSP_H

#include "tk_depthwise_four_s8_dsp.h"

void tk_depthwise_line_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out);

#endif
