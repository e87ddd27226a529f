/* tk_grouped_conv2d_s16.h - 2-D convolution of int16 codes in groups of channels, channels last.
 *
 *   out[o] = tk_output_s16(o, sum over taps and i < depth of x[tap][g * depth + i] * weight[o][tap][i])
 *                                                                      g = o / outputs, whole
 *
 * x        [window.input_height][window.input_width][channels]                int16
 * out      [window.output_height][window.output_width][groups * outputs]      int16
 * scratch  [kernel_height][kernel_width][channels]                            int16
 * weight   [groups * outputs][kernel_height][kernel_width][depth]             int8
 * groups   each reads `depth` = channels / groups channels and makes `outputs` of them
 * window   in bytes, see tk_patch_s16.h;  output: per output channel, see tk_output_s16.h
 *
 * kernel_height * kernel_width * depth is below 2^23. Padding as in tk_conv2d_s16.h.
 * Pixels are done in ascending order: out may begin before x where it overwrites nothing that a later pixel
 * reads, nor, at a kernel_height of 1 without dilated columns, the same one. Reentrant; libc: memcpy,
 * memset.
 */
#ifndef TK_GROUPED_CONV2D_S16_H
#define TK_GROUPED_CONV2D_S16_H

#include "tk_output_s16.h"
#include "tk_patch_s16.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t groups;
    int32_t depth;
    int32_t outputs;
    const int8_t *weight;
    tk_output_s16_params output;
} tk_grouped_conv2d_s16_params;

void tk_grouped_conv2d_s16(const tk_grouped_conv2d_s16_params *p, const void *x, void *scratch, void *out);

#endif
