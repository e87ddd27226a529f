/* tk_layout_s8_mve.h - what a convolution's windows see, for some output pixels of a row, laid out so that
 * each pixel's window is one piece.
 *
 * x        [input_height][input_width][channels]  int8
 * scratch  with dilation_width 1: [(count - 1) * stride_width + kernel_width][kernel_height][channels],
 *          columns that windows share; else [count][kernel_width][kernel_height][channels]. Padding holds
 *          zero_point
 * returns  the first of `count` windows, [kernel_width][kernel_height][channels], for output pixels
 *          (row, column), (row, column + 1) ...: in scratch, or in x where they are one row that lies within
 *          it. The distance between them goes to *step
 *
 * Strides and dilations >= 1, paddings >= 0; bottom and right padding follow from the output's size.
 * Reentrant; no libc.
 */
#ifndef TK_LAYOUT_S8_MVE_H
#define TK_LAYOUT_S8_MVE_H

#include "tk_window_s8_mve.h"

const int8_t *tk_layout_s8_mve(const tk_window_s8_mve *p, const int8_t *x, int32_t row, int32_t column,
                               int32_t count, int8_t *scratch, int32_t *step);

#endif
