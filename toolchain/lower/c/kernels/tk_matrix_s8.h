/* tk_matrix_s8.h - one row of int8 values times a constant int8 matrix, requantized.
 *
 *   out[o] = tk_output_s8(o, sum over k of x[k] * weight[o][k])
 *
 * x       [depth]             int8
 * out     [channels]          int8
 * weight  [channels][depth]   int8
 * output  per channel, see tk_output_s8.h
 *
 * depth is below 2^17, so the products sum up within 32 bits. Four channels at a time share each load of x.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_MATRIX_S8_H
#define TK_MATRIX_S8_H

#include "tk_output_s8.h"

typedef struct {
    int32_t channels;
    int32_t depth;
    const int8_t *weight;
    tk_output_s8_params output;
} tk_matrix_s8_params;

void tk_matrix_row_s8(const tk_matrix_s8_params *p, const int8_t *x, int8_t *out);

#endif
