/* tk_plane_s8_dsp.h - lay rows of pixels out for one channel, as tk_planes_s8_dsp.h does it for four.
 *
 *   to[row][column + i] = 256 * x[row][i]
 *
 * x, to and sizes as there. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_PLANE_S8_DSP_H
#define TK_PLANE_S8_DSP_H

#include "tk_planes_s8_dsp.h"

void tk_plane_s8_dsp(const tk_planes_s8 *p, const int8_t *x, int32_t rows, int8_t *to);

#endif
