/* tk_transpose_conv2d_s8.h - 2-D transposed convolution, channels last.
 *
 *   out[row][column][o] = tk_output_s8(o, sum of (x[i][j][c] - input_zero_point) * w[o][k][l][c])
 *       over i, k with i * stride_height + k = row + pad_top
 *       and  j, l with j * stride_width + l = column + pad_left
 *
 * x       [input_height][input_width][channels]                     int8
 * out     [output_height][output_width][outputs]                    int8; may not overlap x
 * weight  [outputs][kernel_height][kernel_width][channels]          int8; w with its rows in the order of k
 *         modulo stride_height, those of one remainder from the last to the first, and its columns likewise:
 *         so the weights that one output meets follow each other, as its inputs do
 * pad_top, pad_left  rows and columns cut off the full output; below 0, what they add holds the bias alone,
 *                    as output pixels do that no window reaches
 * output  per output channel, see tk_output_s8.h; the zero point is not folded into the bias, because how
 *         many weights meet an input depends on the pixel
 *
 * Strides >= 1. kernel_height * kernel_width * channels is below 2^16, so the products sum up within 32 bits.
 * Each output pixel gathers its inputs, row by row: no scratch. Four channels at a time share each load of x.
 * Source: TensorFlow Lite reference/integer_ops/transpose_conv.h. Reentrant; no memory, no libc.
 */
#ifndef TK_TRANSPOSE_CONV2D_S8_H
#define TK_TRANSPOSE_CONV2D_S8_H

#include "tk_output_s8.h"

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
    int32_t input_zero_point;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_transpose_conv2d_s8_params;

void tk_transpose_conv2d_s8(const tk_transpose_conv2d_s8_params *p, const int8_t *x, int8_t *out);

#endif
