/* tk_plane_rows_s8_dsp.h - fill rows of four planes, with padding or with other rows of theirs.
 *
 * p       of tk_depthwise_s8_dsp.h;  planes: the first one's first row, where `to` is there
 * to      the first row that is filled, of `rows`
 * from    the row that comes to lie there, above `to`; negative: padding does
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_PLANE_ROWS_S8_DSP_H
#define TK_PLANE_ROWS_S8_DSP_H

#include "tk_depthwise_s8_dsp.h"

void tk_plane_rows_s8_dsp(const tk_depthwise_s8_dsp_params *p, int8_t *planes, int32_t to, int32_t rows,
                          int32_t from);

#endif
