/* tk_fully_connected_row_s8_dsp.h - tk_fully_connected_s8_dsp.h for few rows: one at a time, from the first on.
 *
 * scratch    8 * matrix.block.units bytes; aligned to 4
 * backwards  is not heeded
 *
 * A row is read whole before its outputs are written. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_FULLY_CONNECTED_ROW_S8_DSP_H
#define TK_FULLY_CONNECTED_ROW_S8_DSP_H

#include "tk_fully_connected_s8_dsp.h"

void tk_fully_connected_row_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                                   int8_t *out);

#endif
