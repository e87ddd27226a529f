/* tk_grouped_conv2d_s8_dsp.h - 2-D convolution of groups of channels, one after the other.
 *
 * conv  of the first group, as tk_conv2d_s8_dsp.h has it; the others' weights and outputs follow. Going
 *       forwards; its range is the full one
 * low, high  codes that the outputs are cut to
 * out   may not overlap x
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_GROUPED_CONV2D_S8_DSP_H
#define TK_GROUPED_CONV2D_S8_DSP_H

#include "tk_conv2d_s8_dsp.h"

typedef struct {
    tk_conv2d_s8_dsp_params conv;
    uint16_t groups;
    int8_t low;
    int8_t high;
} tk_grouped_conv2d_s8_dsp_params;

void tk_grouped_conv2d_s8_dsp(const tk_grouped_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch,
                              int8_t *out);

#endif
