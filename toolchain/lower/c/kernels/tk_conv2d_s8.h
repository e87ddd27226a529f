/* tk_conv2d_s8.h - 2-D convolution, channels last.
 *
 * x        [window.input_height][window.input_width][window.channels]       int8
 * out      [window.output_height][window.output_width][matrix.channels]     int8
 * scratch  [matrix.depth]                                                   int8
 * matrix   weight [output channel][kernel_height][kernel_width][window.channels], so
 *          matrix.depth = kernel_height * kernel_width * window.channels; arithmetic as in tk_matrix_s8.h
 *
 * Each output pixel's window is laid out by tk_patch_s8.h with the input's zero point on padding, which makes
 * the zero point folded into the bias exact everywhere. Pixels are done in ascending order: out may begin
 * before x where it overwrites nothing that a later pixel reads, nor, at a kernel_height of 1 without
 * dilated columns, the same one. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_CONV2D_S8_H
#define TK_CONV2D_S8_H

#include "tk_matrix_s8.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    tk_matrix_s8_params matrix;
} tk_conv2d_s8_params;

void tk_conv2d_s8(const tk_conv2d_s8_params *p, const int8_t *x, int8_t *scratch, int8_t *out);

#endif
