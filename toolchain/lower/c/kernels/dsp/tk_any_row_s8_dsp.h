/* tk_any_row_s8_dsp.h - one row of int8 values times a constant int8 matrix, requantized; no bounds on sums and
 * shifts.
 *
 * All as in tk_matrix_s8.h: four values of four channels at a time. Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_ANY_ROW_S8_DSP_H
#define TK_ANY_ROW_S8_DSP_H

#include "tk_matrix_s8.h"

void tk_any_row_s8_dsp(const tk_matrix_s8_params *p, const int8_t *x, int8_t *out);

#endif
