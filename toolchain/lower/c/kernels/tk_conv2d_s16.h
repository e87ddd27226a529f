/* tk_conv2d_s16.h - 2-D convolution of int16 codes by int8 weights, channels last.
 *
 * x        [window.input_height][window.input_width][input channels]        int16
 * out      [window.output_height][window.output_width][matrix.channels]     int16
 * scratch  [matrix.depth]                                                   int16
 * window   in bytes, see tk_patch_s16.h
 * matrix   weight [output channel][kernel_height][kernel_width][input channels]; arithmetic as in
 *          tk_matrix_s16.h
 *
 * Padding holds 0, which stands for 0. Source: TensorFlow Lite reference/integer_ops/conv.h.
 * Pixels are done in ascending order: out may begin before x where it overwrites nothing that a later pixel
 * reads, nor, at a kernel_height of 1 without dilated columns, the same one. Reentrant; libc: memcpy,
 * memset.
 */
#ifndef TK_CONV2D_S16_H
#define TK_CONV2D_S16_H

#include "tk_matrix_s16.h"
#include "tk_patch_s16.h"

typedef struct {
    tk_patch_s8_params window;
    tk_matrix_s16_params matrix;
} tk_conv2d_s16_params;

void tk_conv2d_s16(const tk_conv2d_s16_params *p, const void *x, void *scratch, void *out);

#endif
