/* tk_pairs_s8_mve.h - pairs of pixels times a constant int8 matrix, requantized: the inner loop of
 * convolutions on cores with MVE (Helium).
 *
 *   out[pixel][o] = zero_point + clamp(requantize(sum over k of x[pixel][k] * weight[o][k] + bias[o]))
 *
 * x0, x1      [depth]       int8, the first pair's pixels; the pair after that lies x_step bytes further
 * out0, out1  [4 * groups]  int8, their channels; the pair after that lies out_step bytes further
 * groups      of 4 channels, >= 1;  pairs >= 1;  depth >= 1
 * stream      for each group, with n = ceil(depth / 16):
 *               int8  weight[n][4][16]  16 values of k for each of the 4 channels, the first n * 16 - depth
 *                                       values of k zero
 *               int32 bias[4], shift[4], multiplier[4]  as in tk_requantize.h
 * zero_point  of the output;  low, high: the range of its codes
 * exact       0 where every shift is <= 0 and low >= zero_point: a value below 0 is then clamped, and which
 *             way its halves are rounded does not matter
 *
 * 2 pixels x 4 channels are summed at a time, in eight core registers: six loads for eight times 16 products.
 * Nothing before or after x's `depth` bytes is read. A pair's pixels are read again for each group, so its
 * outputs may not lie over them; x1 may be x0 where out1 is out0. Sums wrap at 32 bits. Reentrant; no libc.
 */
#ifndef TK_PAIRS_S8_MVE_H
#define TK_PAIRS_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int8_t *x0;
    const int8_t *x1;
    int32_t depth;
    int32_t groups;
    const int32_t *stream;
    int8_t *out0;
    int8_t *out1;
    int32_t x_step;
    int32_t out_step;
    int32_t pairs;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    int32_t exact;
} tk_pairs_s8_mve_job;

void tk_pairs_s8_mve(const tk_pairs_s8_mve_job *job);

#endif
