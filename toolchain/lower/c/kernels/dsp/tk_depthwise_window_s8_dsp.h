/* tk_depthwise_window_s8_dsp.h - depthwise convolution with a window of any size; codes are low to high.
 *
 * record of an output channel: weight [kernel_rows][kernel_columns], its shift and the code that is added,
 * see tk_depthwise_scale_s8 in tk_depthwise_s8_dsp.h. Its weights are spread in scratch, behind the planes,
 * as pairs (0, 1), (2, 3) .. of a window row; with a dilation in columns as (0, nothing), (1, nothing) ..
 * Four output columns at a time: planes are as wide as a multiple of four columns and whole pairs ask.
 *
 * x, out, scratch, overlap: tk_depthwise_s8_dsp.h. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_DEPTHWISE_WINDOW_S8_DSP_H
#define TK_DEPTHWISE_WINDOW_S8_DSP_H

#include "tk_depthwise_four_s8_dsp.h"

void tk_depthwise_window_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                                int8_t *out);

#endif
