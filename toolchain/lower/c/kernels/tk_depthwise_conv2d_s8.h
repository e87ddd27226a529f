/* tk_depthwise_conv2d_s8.h - 2-D convolution of each channel by itself, channels last.
 *
 *   out[c] = tk_output_s8(c, sum over taps of x[tap][c] * weight[tap][c])
 *
 * x        [window.input_height][window.input_width][window.channels]     int8
 * out      [window.output_height][window.output_width][window.channels]   int8
 * scratch  [kernel_height][kernel_width][window.channels]                 int8
 * weight   [kernel_height][kernel_width][window.channels]                 int8
 * output   per channel, see tk_output_s8.h
 *
 * One output per input channel; several: tk_depthwise_multiplier_conv2d_s8.h. Padding as in tk_conv2d_s8.h.
 * Four channels at a time. Pixels are done in ascending order: out may begin before x where it overwrites
 * nothing that a later pixel reads, nor, at a kernel_height of 1 without dilated columns, the same one.
 * Reentrant; libc: memcpy, memset.
 */
#ifndef TK_DEPTHWISE_CONV2D_S8_H
#define TK_DEPTHWISE_CONV2D_S8_H

#include "tk_output_s8.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_depthwise_conv2d_s8_params;

void tk_depthwise_conv2d_s8(const tk_depthwise_conv2d_s8_params *p, const int8_t *x, int8_t *scratch,
                            int8_t *out);

#endif
