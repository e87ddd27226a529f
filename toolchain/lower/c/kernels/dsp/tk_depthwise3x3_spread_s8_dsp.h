/* tk_depthwise3x3_spread_s8_dsp.h - the record of a depthwise channel of 3 by 3 weights, spread.
 *
 * record  12 bytes, four for each window row. Bytes 0, 2 and 3 of them: the row's weights. Byte 1 of row 0:
 *         the channel's shift; of row 1: the code that is added to its results; see tk_depthwise_scale_s8 in
 *         tk_depthwise_s8_dsp.h
 * plane   gets the weights as pairs (0, 1) and (1, 2) for each row, and the scale
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_DEPTHWISE3X3_SPREAD_S8_DSP_H
#define TK_DEPTHWISE3X3_SPREAD_S8_DSP_H

#include "tk_depthwise_s8_dsp.h"

void tk_depthwise3x3_spread_s8_dsp(const int8_t *record, tk_depthwise_plane_s8 *plane);

#endif
