/* tk_depthwise_s8_dsp.h - depthwise convolution channel by channel: what the kernels of all windows share.
 *
 *   s   = sum over the window of x[row][column][c] * weight[o][row][column]     o = c * multiplier + m
 *   out = clamp(((256 * s + bias[o]) * scale[o] / 2^32 + offset[o]) / 2^shift[o])
 *
 * A band of rows of four channels is laid out as four planes of int16, 256 * code, with 256 * fill around
 * them. Times 256, so that the bits below the first rounding of tk_requantize.h stay and `offset` holds it;
 * both divisions round down. Where its second rounding is away from zero, offset is 128 less for negative
 * sums.
 *
 * x        [rows][columns][channels]                int8, at row_step, column_step and 1 bytes
 * out      [output_rows][output_columns][outputs]   int8, at output_row_step, output_column_step and 1 bytes.
 *          May be x where both have one shape, with by_channel. Without it, rows are written in order, `band`
 *          of them at a time, and a band's first row of x is read until all but its last outputs are there
 * channels: 4 or more; rows and columns are the image's, or the other way round, columns those that planes
 *          have room for
 * scratch  [4][scratch_rows][pitch / 2]  int16, at an address that 4 divides; then what the
 *          kernel of the window asks for
 * weight   a record for each output channel, as the kernel of the window has them
 * scale    {bias, multiplier} for each output channel
 * band     output rows for which rows are laid out at once
 * kept     rows of planes that a band leaves to the next of the same channels
 * by_channel  1: four channels' bands before the next four's; 0: all channels of a band before the next band
 * fill     zero point of x;  low, high: the output's codes, where the kernel heeds them
 *
 * The assembly of what this includes knows the places of the members. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_S8_DSP_H
#define TK_DEPTHWISE_S8_DSP_H

#include <stdint.h>

typedef struct {
    uint8_t multiplier;
    uint8_t kernel_rows;
    uint8_t kernel_columns;
    uint8_t stride_rows;
    uint8_t stride_columns;
    uint8_t dilation_rows;
    uint8_t dilation_columns;
    uint8_t pad_top;
    uint8_t pad_left;
    uint8_t by_channel;
    int8_t fill;
    int8_t low;
    int8_t high;
    uint16_t rows;
    uint16_t columns;
    uint16_t channels;
    uint16_t output_rows;
    uint16_t output_columns;
    uint16_t band;
    uint16_t scratch_rows;
    uint16_t pitch;
    uint16_t row_step;
    uint16_t column_step;
    uint16_t output_row_step;
    uint16_t output_column_step;
    uint16_t kept;
    const int8_t *weight;
    const int32_t *scale;
} tk_depthwise_s8_dsp_params;

/* One output channel of a band. The assembly of tk_depthwise3x3_s8_dsp.h knows the places of the members.
 *
 * mask, offset, shift  see tk_depthwise_scale_s8;  bias: four times the same;  weight: the kernel's
 * pitch                bytes of the plane between rows of the window
 * step                 bytes between output columns
 * wide                 bytes of output columns that are done four at a time
 * input_skip           bytes of the plane from beyond a row's windows, an even number, to the next row's first
 * output_skip          bytes from the end of an output row to the next
 * x, out               plane and output
 */
typedef struct {
    int32_t mask;
    int32_t multiplier;
    int32_t offset;
    int32_t shift;
    int32_t bias[4];
    uint32_t weight[6];
    int32_t low;
    int32_t high;
    int32_t rows;
    int32_t columns;
    int32_t pitch;
    int32_t step;
    int32_t wide;
    int32_t input_skip;
    int32_t output_skip;
    const int16_t *x;
    int8_t *out;
    const int8_t *end;
} tk_depthwise_plane_s8;

/* The part of output channel `output` in a band; `spare`: what the kernel asked for in scratch. */
typedef void tk_depthwise_rows_s8(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane,
                                  int32_t output, int8_t *spare);

void tk_depthwise_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         tk_depthwise_rows_s8 *rows);

/* shift: in [1, 24], 7 more than tk_requantize.h's to the right; code: what is added, the zero point. */
static inline void tk_depthwise_scale_s8(tk_depthwise_plane_s8 *plane, int32_t shift, int32_t code) {
    plane->shift = shift;
    plane->mask = shift > 7 ? -128 : 0;
    plane->offset = (1 << (shift - 1)) + (shift > 7 ? 64 : 0) + code * (1 << shift);
}

#endif
