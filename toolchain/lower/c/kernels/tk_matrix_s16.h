/* tk_matrix_s16.h - one row of int16 values times a constant int8 matrix, requantized.
 *
 *   out[o] = tk_output_s16(o, sum over k of x[k] * weight[o][k])
 *
 * x       [depth]             int16
 * out     [channels]          int16
 * weight  [channels][depth]   int8
 * output  per channel, see tk_output_s16.h
 *
 * depth is below 2^23, so the products sum up within 46 bits. Four channels at a time share each load of x.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_MATRIX_S16_H
#define TK_MATRIX_S16_H

#include "tk_output_s16.h"

typedef struct {
    int32_t channels;
    int32_t depth;
    const int8_t *weight;
    tk_output_s16_params output;
} tk_matrix_s16_params;

void tk_matrix_row_s16(const tk_matrix_s16_params *p, const int16_t *x, int16_t *out);

#endif
