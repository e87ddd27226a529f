/* tk_fully_connected_s8_mve.h - one row of values times a constant int8 matrix, requantized, on cores with
 * MVE.
 *
 *   out[o] = zero_point + clamp(requantize(sum over k of x[k] * weight[o][k] + bias[o]))
 *
 * x         [depth]     int8
 * out       [channels]  int8; may not overlap x
 * stream    for each group of 8 channels, the last filled up with zeros, with n = ceil(depth / 16):
 *             int8  weight[n][8][16]  16 values of k for each of the 8 channels, the first n * 16 - depth
 *                                     values of k zero
 *             int32 bias[8], shift[8], multiplier[8]  as in tk_requantize.h
 * zero_point, low, high, exact  as in tk_pairs_s8_mve.h
 *
 * Eight channels at a time share each load of x. Nothing before or after x's `depth` bytes is read. Sums wrap
 * at 32 bits. Reentrant; no libc.
 */
#ifndef TK_FULLY_CONNECTED_S8_MVE_H
#define TK_FULLY_CONNECTED_S8_MVE_H

#include "tk_rows_s8_mve.h"

void tk_fully_connected_s8_mve(const tk_rows_s8_mve_params *p, const int8_t *x, int8_t *out);

#endif
