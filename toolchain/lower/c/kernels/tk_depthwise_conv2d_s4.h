/* tk_depthwise_conv2d_s4.h - 2-D convolution of each channel by itself with 4-bit weights, channels last.
 *
 *   out[c] = tk_output_s8(c, sum over taps of x[tap][c] * w[tap][c])
 *
 * x        [window.input_height][window.input_width][window.channels]      int8
 * out      [window.output_height][window.output_width][window.channels]    int8; may not overlap x
 * scratch  [kernel_height][kernel_width][window.channels]                  int8
 * weight   [kernel_height][kernel_width][(window.channels + 1) / 2]        a byte for w[c], in its low bits,
 *          and w[c + 1], both in [-8, 7]
 * output   per channel, see tk_output_s8.h
 *
 * Padding as in tk_conv2d_s8.h. Four channels at a time. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_DEPTHWISE_CONV2D_S4_H
#define TK_DEPTHWISE_CONV2D_S4_H

#include "tk_output_s8.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_depthwise_conv2d_s4_params;

void tk_depthwise_conv2d_s4(const tk_depthwise_conv2d_s4_params *p, const int8_t *x, int8_t *scratch,
                            int8_t *out);

#endif
