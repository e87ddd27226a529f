/* tk_depthwise_multiplier_conv2d_s8.h - depthwise convolution with several outputs per input channel.
 *
 *   out[o] = tk_output_s8(o, sum over taps of x[tap][c] * weight[tap][o])     o = c * multiplier + m
 *
 * x        [window.input_height][window.input_width][window.channels]     int8
 * out      [window.output_height][window.output_width][outputs]           int8
 * scratch  [kernel_height][kernel_width][window.channels]                 int8
 * weight   [kernel_height][kernel_width][outputs]                         int8
 * outputs  window.channels * multiplier
 * output   per output channel, see tk_output_s8.h
 *
 * Padding as in tk_conv2d_s8.h. Pixels are done in ascending order: out may begin before x where it
 * overwrites nothing that a later pixel reads, nor, at a kernel_height of 1 without dilated columns, the
 * same one. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_DEPTHWISE_MULTIPLIER_CONV2D_S8_H
#define TK_DEPTHWISE_MULTIPLIER_CONV2D_S8_H

#include "tk_output_s8.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t multiplier;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_depthwise_multiplier_conv2d_s8_params;

void tk_depthwise_multiplier_conv2d_s8(const tk_depthwise_multiplier_conv2d_s8_params *p, const int8_t *x,
                                       int8_t *scratch, int8_t *out);

#endif
