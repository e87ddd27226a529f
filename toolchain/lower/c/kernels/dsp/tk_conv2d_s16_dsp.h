/* tk_conv2d_s16_dsp.h - 2-D convolution of int16, channels last.
 *
 * x        [window.input_height][window.input_width][window.channels / 2]   int16
 * out      [window.output_height][window.output_width][matrix.channels]     int16; may begin before x as far
 *          as no value is overwritten that is still read: three pixels at a time, then single ones
 * scratch  [3][matrix.depth]                                                int16
 * matrix   depth = kernel_height * kernel_width * channels of x, in that order
 *
 * Windows are laid out by tk_patch_s16.h, arithmetic is tk_matrix_s16_dsp.h's. Reentrant; libc: memcpy,
 * memset.
 */
#ifndef TK_CONV2D_S16_DSP_H
#define TK_CONV2D_S16_DSP_H

#include "tk_matrix_s16_dsp.h"
#include "tk_patch_s16.h"

typedef struct {
    tk_patch_s8_params window;
    tk_matrix_s16_dsp_params matrix;
} tk_conv2d_s16_dsp_params;

void tk_conv2d_s16_dsp(const tk_conv2d_s16_dsp_params *p, const void *x, void *scratch, void *out);

#endif
