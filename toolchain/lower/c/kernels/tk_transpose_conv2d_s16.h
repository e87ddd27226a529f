/* tk_transpose_conv2d_s16.h - 2-D transposed convolution of int16 codes, channels last.
 *
 *   out[row][column][o] = tk_output_s16(o, sum of x[i][j][c] * weight[o][k][l][c])
 *       over i, k with i * stride_height + k = row + pad_top
 *       and  j, l with j * stride_width + l = column + pad_left
 *
 * x       [input_height][input_width][channels]                     int16
 * out     [output_height][output_width][outputs]                    int16; may not overlap x
 * weight  [outputs][kernel_height][kernel_width][channels]          int8
 * pad_top, pad_left  rows and columns cut off the full output; below 0, what they add holds the bias alone,
 *                    as output pixels do that no window reaches
 * output  per output channel, see tk_output_s16.h
 *
 * Strides >= 1. kernel_height * kernel_width * channels is below 2^23. Each output pixel gathers its inputs:
 * no scratch. Source: TensorFlow Lite reference/integer_ops/transpose_conv.h. Reentrant; no memory, no libc.
 */
#ifndef TK_TRANSPOSE_CONV2D_S16_H
#define TK_TRANSPOSE_CONV2D_S16_H

#include "tk_output_s16.h"

typedef struct {
    int32_t input_height;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
    int32_t outputs;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t pad_top;
    int32_t pad_left;
    const int8_t *weight;
    tk_output_s16_params output;
} tk_transpose_conv2d_s16_params;

void tk_transpose_conv2d_s16(const tk_transpose_conv2d_s16_params *p, const void *x, void *out);

#endif
