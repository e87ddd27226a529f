/* tk_matrix_s8_scalar.h - one or two rows of int8 values times a constant int8 matrix, by four channels.
 *
 *   out[o] = tk_output_s8_scalar(bias[o] + sum over r < runs->count, k < runs->length of
 *                                x[r * runs->pitch + k] * weight of o for (r, k))
 *
 * x0, x1      int8, see tk_runs.h; x1 is null where there is one row
 * out0, out1  [channels]  int8; written while x0 and x1 are still being read
 * weight      for each four channels [runs->count * runs->length][4]  int8; the last four are filled up
 * output      per channel, see tk_output_s8_scalar.h; its biases are filled up to whole fours too
 *
 * Two rows share each load of a weight. Reentrant; no memory, no libc.
 */
#ifndef TK_MATRIX_S8_SCALAR_H
#define TK_MATRIX_S8_SCALAR_H

#include "tk_dot_two_s8_scalar.h"
#include "tk_output_s8_scalar.h"

typedef struct {
    const int8_t *weight;
    tk_output_s8_scalar_params output;
    uint16_t channels;
} tk_matrix_s8_scalar_params;

void tk_matrix_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x0,
                         const int8_t *x1, int8_t *out0, int8_t *out1);

#endif
