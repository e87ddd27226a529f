/* tk_dot_pairs_s8_thumb.h - sums of products of two rows at once with two channels' int8 weights.
 *
 *   whole[c]  = sum over k of pairs[k] * w[c][k], wrapped at 32 bits
 *   second[c] = sum over k of x1[k] * w[c][k]
 *
 * pairs     [2 * steps]  x0[k] + 65536 * x1[k] of int8 values
 * w         [steps]      bytes w[0][k], w[0][k + 1], w[1][k], w[1][k + 1] from the lowest, k = 2 * step
 * steps     a multiple of 2
 * sums      added to: whole[0], second[0], whole[1], second[1]
 * returns   the end of w
 *
 * The first row's sum is whole - 65536 * second. |w[c][k]| + |w[c][k + 1]| is at most 255: then two products
 * of x0 stay within 16 bits, and what lies above them is x1's. In assembly on Armv6-M, which has neither a
 * multiplication with addition nor registers for more: 2.9 instructions a product. Reentrant; no memory, no
 * libc.
 */
#ifndef TK_DOT_PAIRS_S8_THUMB_H
#define TK_DOT_PAIRS_S8_THUMB_H

#include <stdint.h>

const int32_t *tk_dot_pairs_s8_thumb(const int32_t *pairs, const int32_t *w, int32_t steps, int32_t sums[4]);

#endif
