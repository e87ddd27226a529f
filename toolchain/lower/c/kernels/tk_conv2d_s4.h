/* tk_conv2d_s4.h - 2-D convolution with 4-bit weights, channels last.
 *
 * x        [window.input_height][window.input_width][window.channels]       int8
 * out      [window.output_height][window.output_width][matrix.channels]     int8; may not overlap x
 * scratch  [2][matrix.depth]                                                int8
 * matrix   k counts a window's taps and channels: matrix.depth = kernel_height * kernel_width *
 *          window.channels; arithmetic as in tk_matrix_s4.h
 *
 * Two pixels of a row at a time. Windows are laid out as in tk_conv2d_s8.h. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_CONV2D_S4_H
#define TK_CONV2D_S4_H

#include "tk_matrix_s4.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    tk_matrix_s4_params matrix;
} tk_conv2d_s4_params;

void tk_conv2d_s4(const tk_conv2d_s4_params *p, const int8_t *x, int8_t *scratch, int8_t *out);

#endif
