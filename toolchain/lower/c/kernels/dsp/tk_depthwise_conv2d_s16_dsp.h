/* tk_depthwise_conv2d_s16_dsp.h - 2-D convolution of each channel of int16 codes by itself, two at a time.
 *
 * x, out, window, scratch: tk_depthwise_conv2d_s16.h, with a multiplier of 1
 * weight   [pairs of channels][pairs of taps]  four int8: of the first tap for both channels, of the second
 *          tap for both; 0 where there is none
 * output   per channel, see tk_output_s16_dsp.h: sums fit 32 bits
 *
 * Reentrant; libc: memcpy, memset.
 */
#ifndef TK_DEPTHWISE_CONV2D_S16_DSP_H
#define TK_DEPTHWISE_CONV2D_S16_DSP_H

#include "tk_output_s16_dsp.h"
#include "tk_patch_s16.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t channels;
    const int8_t *weight;
    tk_output_s16_dsp_params output;
} tk_depthwise_conv2d_s16_dsp_params;

void tk_depthwise_conv2d_s16_dsp(const tk_depthwise_conv2d_s16_dsp_params *p, const void *x, void *scratch,
                                 void *out);

#endif
