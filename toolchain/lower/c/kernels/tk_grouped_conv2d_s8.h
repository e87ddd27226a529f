/* tk_grouped_conv2d_s8.h - 2-D convolution in groups of channels, channels last.
 *
 *   out[o] = tk_output_s8(o, sum over taps and i < depth of x[tap][g * depth + i] * weight[o][tap][i])
 *                                                                      g = o / outputs, whole
 *
 * x        [window.input_height][window.input_width][window.channels]         int8
 * out      [window.output_height][window.output_width][groups * outputs]      int8
 * scratch  [kernel_height][kernel_width][window.channels]                     int8
 * weight   [groups * outputs][kernel_height][kernel_width][depth]             int8
 * groups   each reads `depth` = window.channels / groups channels and makes `outputs` of them
 * output   per output channel, see tk_output_s8.h
 *
 * kernel_height * kernel_width * depth is below 2^17. Padding as in tk_conv2d_s8.h. Four output channels of a
 * group at a time share each load of x. Pixels are done in ascending order: out may begin before x where it
 * overwrites nothing that a later pixel reads, nor, at a kernel_height of 1 without dilated columns, the
 * same one. Reentrant; libc: memcpy, memset.
 */
#ifndef TK_GROUPED_CONV2D_S8_H
#define TK_GROUPED_CONV2D_S8_H

#include "tk_output_s8.h"
#include "tk_patch_s8.h"

typedef struct {
    tk_patch_s8_params window;
    int32_t groups;
    int32_t depth;
    int32_t outputs;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_grouped_conv2d_s8_params;

void tk_grouped_conv2d_s8(const tk_grouped_conv2d_s8_params *p, const int8_t *x, int8_t *scratch,
                          int8_t *out);

#endif
