/* tk_depthwise_conv2d_s16.h - 2-D convolution of each channel of int16 codes by itself, channels last.
 *
 *   out[o] = tk_output_s16(o, sum over taps of x[tap][c] * weight[tap][o])     o = c * multiplier + m
 *
 * x        [window.input_height][window.input_width][channels]     int16
 * out      [window.output_height][window.output_width][outputs]    int16
 * scratch  [kernel_height][kernel_width][channels]                 int16
 * weight   [kernel_height][kernel_width][outputs]                  int8
 * outputs  channels * multiplier
 * window   in bytes, see tk_patch_s16.h;  output: per output channel, see tk_output_s16.h
 *
 * Padding as in tk_conv2d_s16.h. Source: TensorFlow Lite reference/integer_ops/depthwise_conv.h.
 * Pixels are done in ascending order: out may begin before x where it overwrites nothing that a later pixel
 * reads, nor, at a kernel_height of 1 without dilated columns, the same one. Reentrant; libc: memcpy,
 * memset.
 */
#ifndef TK_DEPTHWISE_CONV2D_S16_H
#define TK_DEPTHWISE_CONV2D_S16_H

#include "tk_output_s16.h"
#include "tk_patch_s16.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t channels;
    int32_t multiplier;
    const int8_t *weight;
    tk_output_s16_params output;
} tk_depthwise_conv2d_s16_params;

void tk_depthwise_conv2d_s16(const tk_depthwise_conv2d_s16_params *p, const void *x, void *scratch,
                             void *out);

#endif
