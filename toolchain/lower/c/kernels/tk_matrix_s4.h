/* tk_matrix_s4.h - rows of int8 values times a constant matrix of 4-bit weights, requantized.
 *
 *   out[o] = tk_output_s8(o, sum over k of x[k] * w[o][k])
 *
 * x, x0, x1       [depth]     int8
 * out, out0, out1 [channels]  int8; written while x is still being read
 * weight          for each four channels [depth][2], the last four filled up with anything: a byte for w[o]
 *                 and w[o + 1], both in [-8, 7]: 16 * w[o + 1] + w[o] + 8
 * output          per channel, see tk_output_s8.h
 *
 * depth is below 2^17, so the products sum up within 32 bits. No weight is taken out of its byte with its
 * sign: x * byte adds up to 16 of the one sum and the other, x * (byte & 15) to the other, 8 times the sum
 * of x apart. Two rows share each load of a weight. Reentrant; no memory, no libc.
 */
#ifndef TK_MATRIX_S4_H
#define TK_MATRIX_S4_H

#include "tk_output_s8.h"

typedef struct {
    int32_t channels;
    int32_t depth;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_matrix_s4_params;

void tk_matrix_row_s4(const tk_matrix_s4_params *p, const int8_t *x, int8_t *out);
void tk_matrix_pair_s4(const tk_matrix_s4_params *p, const int8_t *x0, const int8_t *x1, int8_t *out0,
                       int8_t *out1);

#endif
