/* tk_depthwise3x3_stride2_full_s8_dsp.h - depthwise 3 by 3 convolution at a stride of 2 columns;
 * codes are -128 to 127.
 *
 * x, out, scratch, overlap: tk_depthwise_s8_dsp.h;  weight and ending: tk_depthwise3x3_s8_dsp.h.
 * Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE3X3_STRIDE2_FULL_S8_DSP_H
#define TK_DEPTHWISE3X3_STRIDE2_FULL_S8_DSP_H

#include "tk_depthwise3x3_s8_dsp.h"

void tk_depthwise3x3_stride2_full_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x,
                                         int8_t *scratch, int8_t *out);

#endif
