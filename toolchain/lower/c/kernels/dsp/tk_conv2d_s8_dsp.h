/* tk_conv2d_s8_dsp.h - 2-D convolution, channels last, of one or more groups.
 *
 * x          [input_height][input_width][channels]               int8
 * scratch    3 * 8 * matrix.block.units + 3 * kernel_width * depth bytes, a third below three pixels;
 *            aligned to 4
 * out        [output_height][output_width][groups * matrix.channels]  int8; may overlap x where no value is
 *            overwritten that is still to be read: with one group, three pixels' values are read before
 *            their outputs are written
 * depth      channels of a group
 * together   taps of a kernel row that lie side by side in x: kernel_width, or 1 with groups or dilation
 * backwards  1: the last pixels come first, 0: the first
 * low, high  codes that the outputs are cut to
 * matrix     of the first group; the others' weights and outputs follow. A kernel row's weights, kernel_width
 *            * depth of each channel, lie in the order of tk_widen_tile_s8_dsp.h
 *
 * Taps on padding hold zero_point, which makes the zero point folded into the bias exact everywhere. Strides
 * and dilations >= 1, paddings >= 0. The arithmetic is tk_block_s8_dsp.h's. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_CONV2D_S8_DSP_H
#define TK_CONV2D_S8_DSP_H

#include "tk_matrix_s8_dsp.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t groups;
    int32_t depth;
    int32_t together;
    int32_t backwards;
    int32_t low;
    int32_t high;
    tk_matrix_s8_dsp_params matrix;
} tk_conv2d_s8_dsp_params;

void tk_conv2d_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch, int8_t *out);

#endif
