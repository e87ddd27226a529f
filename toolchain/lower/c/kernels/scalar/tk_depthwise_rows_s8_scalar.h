/* tk_depthwise_rows_s8_scalar.h - the rows of a 2-D convolution of each channel by itself, channels last.
 *
 *   out[c] = tk_output_s8_scalar(c, bias[c] + sum over taps of x[tap][c] * weight[c][tap])
 *
 * x        [window.input_height][window.input_width][window.channels]     int8
 * out      [window.output_height][window.output_width][window.channels]   int8; an output row is written once
 *          the rows of x under its windows, and all before them, have been read
 * scratch  [window.channels][lines][line]                                 int8
 * weight   [window.channels][kernel_height][kernel_width]                 int8
 * lines    (kernel_height - 1) * dilation_height + 1: rows under a window
 * line     input_width with padding on the left and so much on the right as windows take, by whole fours
 * row      does one channel of one output row, its codes window.channels bytes apart
 *
 * The rows under the windows of an output row lie in scratch, channel by channel, with the input's zero point
 * on padding: row y, counted from the first of the padding, in line y modulo `lines`, copied once.
 * Reentrant; libc: memset.
 */
#ifndef TK_DEPTHWISE_ROWS_S8_SCALAR_H
#define TK_DEPTHWISE_ROWS_S8_SCALAR_H

#include "tk_output_s8_scalar.h"

/* As tk_patch_s8_params, in half the flash. */
typedef struct {
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
    int16_t zero_point;
} tk_window_s8_scalar;

typedef struct {
    tk_window_s8_scalar window;
    uint16_t lines;
    uint16_t line;
    const int8_t *weight;
    tk_output_s8_scalar_params output;
} tk_depthwise_s8_scalar_params;

/* Under the windows of an output row, for one channel: its first line, then what follows it line by line. */
typedef struct {
    const int8_t *lines;
    int32_t first;
} tk_band_s8_scalar;

static inline const int8_t *tk_line_s8_scalar(const tk_depthwise_s8_scalar_params *p,
                                              tk_band_s8_scalar under, int32_t tap) {
    const int32_t slot = under.first + tap * p->window.dilation_height;
    return under.lines + (slot < p->lines ? slot : slot - p->lines) * p->line;
}

typedef void tk_depthwise_row(const tk_depthwise_s8_scalar_params *p, tk_band_s8_scalar under,
                              int32_t channel, int8_t *out);

void tk_depthwise_rows_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int8_t *scratch,
                                 int8_t *out, tk_depthwise_row *row);

/* Codes of `count` neighbouring pixels of a channel. */
void tk_depthwise_put_s8_scalar(const tk_depthwise_s8_scalar_params *p, int32_t channel, const int32_t *sums,
                                int32_t count, int8_t *out);

#endif
