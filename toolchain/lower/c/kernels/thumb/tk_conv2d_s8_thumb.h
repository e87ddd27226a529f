/* tk_conv2d_s8_thumb.h - 2-D convolution, channels last, two output pixels of a row at a time.
 *
 * x        [window.input_height][window.input_width][window.channels]       int8
 * out      [window.output_height][window.output_width][matrix.channels]     int8
 * scratch  the matrix's, then [2][matrix.depth] int8; aligned to 4
 *
 * Windows are laid out by tk_patch_s8.h and read whole before their outputs are written. In the matrix, k
 * counts a window's taps and channels. Arithmetic as in tk_matrix_s8_thumb.h. Reentrant; libc: memcpy,
 * memset.
 */
#ifndef TK_CONV2D_S8_THUMB_H
#define TK_CONV2D_S8_THUMB_H

#include "tk_matrix_s8_thumb.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    tk_matrix_s8_thumb_params matrix;
} tk_conv2d_s8_thumb_params;

void tk_conv2d_s8_thumb(const tk_conv2d_s8_thumb_params *p, const int8_t *x, void *scratch, int8_t *out);

#endif
