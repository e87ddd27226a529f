/* tk_dot_one_s8_scalar.h - sums of products of a row of int8 values with four channels' int8 weights.
 *
 *   sums[c] += sum over r < runs->count, k < runs->length of x[r * runs->pitch + k] * w[r][k][c]       c < 4
 *
 * x        int8, see tk_runs.h; count >= 1
 * w        [runs->count][runs->length][4]  int8
 * returns  the end of w
 *
 * Sums wrap at 32 bits. In assembly on Armv7-M, 2.3 instructions a product, and on Armv6-M, 3.9, where
 * compilers run out of registers.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_DOT_ONE_S8_SCALAR_H
#define TK_DOT_ONE_S8_SCALAR_H

#include "tk_runs.h"

const int8_t *tk_dot_one_s8_scalar(const tk_runs *runs, const int8_t *x, const int8_t *w, int32_t sums[4]);

#endif
