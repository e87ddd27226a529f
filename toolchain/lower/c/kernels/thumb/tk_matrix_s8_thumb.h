/* tk_matrix_s8_thumb.h - two rows of int8 values at once times a constant int8 matrix, by two channels.
 *
 *   out[o] = tk_output_s8_scalar(bias[o] + sum over k < depth of x[k] * w[o][k])
 *
 * x0, x1      [depth]     int8; x1 is null where there is one row
 * scratch     [2 * steps]  int32: both rows side by side
 * out0, out1  [channels]  int8; written once the rows have been read
 * weight      for each two channels [steps]  int32, see tk_dot_pairs_s8_thumb.h; filled up with 0
 * steps       depth / 2, rounded up to a multiple of 2
 * output      per channel, see tk_output_s8_scalar.h
 *
 * Reentrant; no libc.
 */
#ifndef TK_MATRIX_S8_THUMB_H
#define TK_MATRIX_S8_THUMB_H

#include "tk_output_s8_scalar.h"

typedef struct {
    int32_t channels;
    int32_t depth;
    int32_t steps;
    const int32_t *weight;
    tk_output_s8_scalar_params output;
} tk_matrix_s8_thumb_params;

void tk_matrix_s8_thumb(const tk_matrix_s8_thumb_params *p, const int8_t *x0, const int8_t *x1,
                        int32_t *scratch, int8_t *out0, int8_t *out1);

#endif
