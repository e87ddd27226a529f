/* tk_matrix_s8_scalar.h - rows of int8 values times a constant int8 matrix, four channels at a time.
 *
 *   out[o] = tk_output_s8_scalar(bias[o] + sum over r < runs.count, k < runs.length of
 *                                x[r * runs.pitch + k] * weight of o for (r, k))
 *
 * x, x0, x1       runs.count runs of runs.length int8 values, whose starts are runs.pitch apart
 * out, out0, out1 [channels]  int8; written while x is still being read
 * weight          for each four channels [runs.count * runs.length][4], then each channel left by itself
 *                 [runs.count * runs.length]
 * output          per channel, see tk_output_s8_scalar.h
 *
 * A pair of rows shares each load of a weight. Reentrant; no memory, no libc.
 */
#ifndef TK_MATRIX_S8_SCALAR_H
#define TK_MATRIX_S8_SCALAR_H

#include "tk_dot_two_s8_scalar.h"
#include "tk_output_s8_scalar.h"

typedef struct {
    int32_t channels;
    const int8_t *weight;
    tk_output_s8_scalar_params output;
} tk_matrix_s8_scalar_params;

void tk_matrix_pair_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x0,
                              const int8_t *x1, int8_t *out0, int8_t *out1);
void tk_matrix_row_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x,
                             int8_t *out);

#endif
