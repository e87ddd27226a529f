/* tk_layout_s8_mve.h - what a convolution's windows see, for some output pixels of a row, laid out so that each
 * pixel's window is one piece.
 *
 * x        [input_height][input_width][channels]  int8
 * scratch  by_columns 0: [count][kernel_height][kernel_width][channels]: every window by itself
 *          by_columns 1: [columns][kernel_height][channels] with columns = (count - 1) * stride_width +
 *          kernel_width: windows share columns, and their order is [kernel_width][kernel_height][channels];
 *          dilation_width is 1. What lies on padding holds zero_point
 * returns  the first of `count` windows, for output pixels (row, column), (row, column + 1) ...: in scratch, or
 *          in x where they are one row that lies within it. The distance between them goes to *step
 *
 * Strides and dilations >= 1, paddings >= 0; bottom and right padding follow from the output's size.
 * Reentrant; no libc.
 */
#ifndef TK_LAYOUT_S8_MVE_H
#define TK_LAYOUT_S8_MVE_H

#include <stdint.h>

typedef struct {
    int16_t input_height;
    int16_t input_width;
    int16_t channels;
    int16_t output_height;
    int16_t output_width;
    int16_t kernel_height;
    int16_t kernel_width;
    int16_t stride_height;
    int16_t stride_width;
    int16_t dilation_height;
    int16_t dilation_width;
    int16_t pad_top;
    int16_t pad_left;
    int16_t zero_point;
    int16_t by_columns;
} tk_layout_s8_mve_params;

const int8_t *tk_layout_s8_mve(const tk_layout_s8_mve_params *p, const int8_t *x, int32_t row, int32_t column,
                               int32_t count, int8_t *scratch, int32_t *step);

#endif
