/* tk_max_pool2d_s8_dsp.h - largest code of each window, four channels at a time.
 *
 * x, out, parameters, overlap: tk_max_pool2d_s8.h; 4 channels or more. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_MAX_POOL2D_S8_DSP_H
#define TK_MAX_POOL2D_S8_DSP_H

#include "tk_pool2d_s8.h"

void tk_max_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out);

#endif
