/* tk_tanh_s16.h - tanh(x), which is 2 / (1 + exp(-2 x)) - 1, of int16 codes, interpolated in a table.
 *
 * x, out  [size]  int16; out may be x. The output's scale is 2^-15
 * Parameters and source: tk_sigmoid_s16.h. Reentrant; no memory, no libc.
 */
#ifndef TK_TANH_S16_H
#define TK_TANH_S16_H

#include "tk_sigmoid_s16.h"

void tk_tanh_s16(const tk_sigmoid_s16_params *p, const void *x, void *out);

#endif
