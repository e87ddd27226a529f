/* tk_fully_connected_any_s8_dsp.h - rows of values times a constant matrix; no bounds on sums and shifts.
 *
 * All as in tk_fully_connected_s8.h, with rows by tk_any_row_s8_dsp.h. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_FULLY_CONNECTED_ANY_S8_DSP_H
#define TK_FULLY_CONNECTED_ANY_S8_DSP_H

#include "tk_fully_connected_s8.h"

void tk_fully_connected_any_s8_dsp(const tk_fully_connected_s8_params *p, const int8_t *x, int8_t *out);

#endif
