/* tk_conv2d_s8_scalar.h - 2-D convolution, channels last, two output pixels at a time.
 *
 * x        [window.input_height][window.input_width][window.channels]       int8
 * out      [window.output_height][window.output_width][matrix.channels]     int8
 * scratch  [2][kernel_height][kernel_width][window.channels]                int8
 *
 * lay_out  0: windows that lie within x are read there, until the outputs of both pixels are written, and
 *          others are laid out in scratch by tk_patch_s8.h; 1: all are. What costs less: many channels read
 *          a window often, and several short runs are slower than one. Dilated rows are always laid out
 *
 * In the matrix, k counts a window's taps and channels.
 * Arithmetic as in tk_matrix_s8_scalar.h. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_CONV2D_S8_SCALAR_H
#define TK_CONV2D_S8_SCALAR_H

#include "tk_matrix_s8_scalar.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t lay_out;
    tk_matrix_s8_scalar_params matrix;
} tk_conv2d_s8_scalar_params;

void tk_conv2d_s8_scalar(const tk_conv2d_s8_scalar_params *p, const int8_t *x, int8_t *scratch, int8_t *out);

#endif
