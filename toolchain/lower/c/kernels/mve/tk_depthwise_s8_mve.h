/* tk_depthwise_s8_mve.h - what depthwise convolutions on cores with MVE share: strips of output pixels, 16
 * channels at a time.
 *
 *   out[c] = zero_point + clamp(requantize(sum over taps of x[tap][c] * weight[tap][c] + bias[c]))
 *
 * x        [window.input_height][window.input_width][window.channels]    int8
 * out      [window.output_height][window.output_width][window.channels]  int8
 * scratch  16 bytes; then columns of window.strip output pixels, 64 bytes each; then, where channels is no
 *          multiple of 4, 8 * window.strip bytes. At an address that is a multiple of 4
 * rows     of outputs at a time: 2 by tk_tiles_by_rows_s8_mve, else 1 by tk_tiles_by_columns_s8_mve
 * window   kernel_height and kernel_width 1 to 4; 1 to 3 rows, neither strided nor dilated, where `rows` is 2
 * stream, zero_point, low, high, exact  as in tk_depthwise_tiles_s8_mve.h
 *
 * `rows` by `rows`, strip by strip, in ascending order; the output may lie over what neither a strip nor a
 * later one reads. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_S8_MVE_H
#define TK_DEPTHWISE_S8_MVE_H

#include "tk_depthwise_tiles_s8_mve.h"
#include "tk_window_s8_mve.h"

typedef struct {
    tk_window_s8_mve window;
    int8_t zero_point;
    int8_t low;
    int8_t high;
    int8_t exact;
    const int32_t *stream;
} tk_depthwise_s8_mve_params;

void tk_depthwise_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         int32_t rows, tk_depthwise_tiles_s8_mve *tiles);

#endif
