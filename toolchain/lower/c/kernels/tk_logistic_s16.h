/* tk_logistic_s16.h - 1 / (1 + exp(-x)) of int16 codes, interpolated in a table.
 *
 * x, out  [size]  int16; out may be x. The output's scale is 2^-15
 * Parameters and source: tk_sigmoid_s16.h. Reentrant; no memory, no libc.
 */
#ifndef TK_LOGISTIC_S16_H
#define TK_LOGISTIC_S16_H

#include "tk_sigmoid_s16.h"

void tk_logistic_s16(const tk_sigmoid_s16_params *p, const void *x, void *out);

#endif
