/* tk_depthwise_s8_mve.h - what depthwise convolutions on cores with MVE share: strips of output pixels, 16 channels
 * at a time.
 *
 *   out[c] = zero_point + clamp(requantize(sum over taps of x[tap][c] * weight[tap][c] + bias[c]))
 *
 * x        [input_height][input_width][channels]    int8
 * out      [output_height][output_width][channels]  int8
 * scratch  columns of `strip` output pixels, 64 bytes each; then 16 bytes; then, where channels is no multiple of 4,
 *          8 * strip bytes. A multiple of 4
 * rows     of outputs at a time: 2 by tk_tiles_by_rows_s8_mve, else 1 by tk_tiles_by_columns_s8_mve
 * strip    output pixels of a row at a time
 * kernel_height, kernel_width  1 to 4; 1 to 3 rows, neither strided nor dilated, where `rows` is 2
 * border   the code of padding: the zero point of x
 * stream, zero_point, low, high, exact  as in tk_depthwise_tiles_s8_mve.h
 *
 * `rows` by `rows`, strip by strip, in ascending order; the output may lie over what neither a strip nor a later
 * one reads. Strides and dilations >= 1, paddings >= 0. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_S8_MVE_H
#define TK_DEPTHWISE_S8_MVE_H

#include "tk_depthwise_tiles_s8_mve.h"

typedef struct {
    int16_t input_height;
    int16_t input_width;
    int16_t channels;
    int16_t output_height;
    int16_t output_width;
    int16_t kernel_height;
    int16_t kernel_width;
    int16_t stride_height;
    int16_t stride_width;
    int16_t dilation_height;
    int16_t dilation_width;
    int16_t pad_top;
    int16_t pad_left;
    int16_t border;
    int16_t strip;
    int16_t zero_point;
    int16_t low;
    int16_t high;
    int16_t exact;
    const int32_t *stream;
} tk_depthwise_s8_mve_params;

void tk_depthwise_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         int32_t rows, tk_depthwise_tiles_s8_mve *tiles);

#endif
