/* tk_conv2d_s8_dsp.h - 2-D convolution, channels last; of one group of channels, if there are several.
 *
 * x          [input_height][input_width][channels]           int8, from the group's first channel on
 * scratch    3 * 8 * matrix.block.units + 3 * kernel_width * depth bytes; aligned to 4
 * out        [output_height][output_width][pitch]             int8, the first matrix.channels of each pixel;
 *            may overlap x where no value is overwritten that is still to be read: three pixels' values are
 *            read before their outputs are written; the last three may have been done in part before, and
 *            fewer than three are done one at a time
 * depth      channels that a tap takes: all, or the group's
 * inner_height, inner_width  windows from rows and columns of x below these on lie in x as they are: a kernel
 *            row's values side by side, nothing outside; 0 with groups or dilation_width
 * backwards  1: the last pixels come first, 0: the first
 * padding    the input's zero point, four times
 * matrix     a kernel row's weights, kernel_width * depth of each channel, lie in the order of
 *            tk_widen_tile_s8_dsp.h
 *
 * Taps on padding hold the zero point, which makes the one folded into the bias exact everywhere. Strides and
 * dilations >= 1; bottom and right padding follow from the output's size. The arithmetic is
 * tk_block_s8_dsp.h's. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_CONV2D_S8_DSP_H
#define TK_CONV2D_S8_DSP_H

#include "tk_matrix_s8_dsp.h"

typedef struct {
    tk_matrix_s8_dsp_params matrix;
    uint16_t input_height;
    uint16_t input_width;
    uint16_t channels;
    uint16_t output_height;
    uint16_t output_width;
    uint16_t kernel_height;
    uint16_t kernel_width;
    uint16_t stride_height;
    uint16_t stride_width;
    uint16_t dilation_height;
    uint16_t dilation_width;
    uint16_t pad_top;
    uint16_t pad_left;
    uint16_t depth;
    uint16_t pitch;
    uint16_t inner_height;
    uint16_t inner_width;
    uint16_t backwards;
    int8_t padding[4];
} tk_conv2d_s8_dsp_params;

void tk_conv2d_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch, int8_t *out);

#endif
