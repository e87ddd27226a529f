/* tk_dot_two_s8_scalar.h - sums of products of two rows of int8 values with four channels' int8 weights.
 *
 *   sums[c]     += sum over r < runs->count, k < runs->length of x0[r * runs->pitch + k] * w[r][k][c]  c < 4
 *   sums[4 + c] += the same of x1
 *
 * x0, x1   int8, see tk_runs.h; count >= 1
 * w        [runs->count][runs->length][4]  int8
 * returns  the end of w
 *
 * Sums wrap at 32 bits. Rows share each load of a weight. In assembly on Armv7-M, where compilers run out of
 * registers: 1.84 instructions a product. Armv6-M has too few for two rows. Reentrant; no memory, no libc.
 */
#ifndef TK_DOT_TWO_S8_SCALAR_H
#define TK_DOT_TWO_S8_SCALAR_H

#include "tk_dot_one_s8_scalar.h"

const int8_t *tk_dot_two_s8_scalar(const tk_runs *runs, const int8_t *x0, const int8_t *x1, const int8_t *w,
                                   int32_t sums[8]);

#endif
