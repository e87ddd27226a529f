/* tk_planes_s8_dsp.h - lay rows of pixels of four channels out as rows of int16 for each channel.
 *
 *   to[channel][row][pad_left + i] = 256 * x[row][i][channel]
 *
 * p    of tk_depthwise_s8_dsp.h. x: rows of `columns` pixels, row_step and column_step bytes from one to the
 *      next; four int8 each, at any address
 * to   int16, scratch_rows * pitch and pitch bytes from one channel and row to the next; at an address that 4
 *      divides, as it does pitch. What lies beside the pixels stays
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_PLANES_S8_DSP_H
#define TK_PLANES_S8_DSP_H

#include "tk_depthwise_s8_dsp.h"

void tk_planes_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int32_t rows, int8_t *to);

#endif
