/* tk_fully_connected_s8_scalar.h - rows of values times a constant matrix; also a 1x1 convolution.
 *
 * x    [rows][depth]            int8
 * out  [rows][matrix.channels]  int8
 * backwards  0, or 1: rows are done from the last on
 *
 * Two rows at a time; the last, forwards or backwards, may be alone. Rows are read until all their outputs
 * are written. The matrix and the arithmetic are tk_matrix_s8_scalar.h's. Reentrant; no memory, no libc.
 */
#ifndef TK_FULLY_CONNECTED_S8_SCALAR_H
#define TK_FULLY_CONNECTED_S8_SCALAR_H

#include "tk_matrix_s8_scalar.h"

typedef struct {
    tk_matrix_s8_scalar_params matrix;
    int32_t rows;
    uint16_t depth;
    uint16_t backwards;
} tk_fully_connected_s8_scalar_params;

void tk_fully_connected_s8_scalar(const tk_fully_connected_s8_scalar_params *p, const int8_t *x,
                                  int8_t *out);

#endif
