/* tk_conv2d_s8_mve.h - 2-D convolution, channels last, on cores with MVE.
 *
 * x        [window.input_height][window.input_width][window.channels]     int8
 * out      [window.output_height][window.output_width][matrix.channels]   int8
 * scratch  windows of window.strip output pixels as tk_layout_s8_mve.h lays them out
 * matrix   its values of k in the order [kernel_width][kernel_height][channels]; arithmetic as in
 *          tk_rows_s8_mve.h
 *
 * Rows of outputs in strips of `strip` pixels, in ascending order: the output may lie over what no later
 * strip reads; where windows are taken from x itself, not over what the strip reads either. Reentrant; no
 * libc.
 */
#ifndef TK_CONV2D_S8_MVE_H
#define TK_CONV2D_S8_MVE_H

#include "tk_rows_s8_mve.h"
#include "tk_window_s8_mve.h"

typedef struct {
    tk_window_s8_mve window;
    tk_rows_s8_mve_params matrix;
} tk_conv2d_s8_mve_params;

void tk_conv2d_s8_mve(const tk_conv2d_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out);

#endif
