/* tk_depthwise_taps_s8_mve.h - 2-D convolution of each channel by itself, with windows of any size.
 *
 * x        [window.input_height][window.input_width][window.channels]    int8
 * out      [window.output_height][window.output_width][window.channels]  int8
 * scratch  windows of window.strip output pixels as tk_layout_s8_mve.h lays them out
 * stream   taps in the order [kernel_width][kernel_height]; arithmetic as in tk_taps_s8_mve.h
 *
 * Rows of outputs in strips of `strip` pixels, in ascending order: the output may lie over what no later
 * strip reads; where windows are taken from x itself, not over what the strip reads either. Reentrant; no
 * libc.
 */
#ifndef TK_DEPTHWISE_TAPS_S8_MVE_H
#define TK_DEPTHWISE_TAPS_S8_MVE_H

#include "tk_depthwise_s8_mve.h"

void tk_depthwise_taps_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out);

#endif
