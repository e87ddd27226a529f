/* tk_fully_connected_s4.h - rows of values times a matrix of 4-bit weights; also a 1x1 convolution.
 *
 * x    [rows][matrix.depth]     int8
 * out  [rows][matrix.channels]  int8
 *
 * Two rows at a time, which are read until their outputs are written. The matrix and the arithmetic are
 * tk_matrix_s4.h's. Reentrant; no memory, no libc.
 */
#ifndef TK_FULLY_CONNECTED_S4_H
#define TK_FULLY_CONNECTED_S4_H

#include "tk_matrix_s4.h"

typedef struct {
    int32_t rows;
    tk_matrix_s4_params matrix;
} tk_fully_connected_s4_params;

void tk_fully_connected_s4(const tk_fully_connected_s4_params *p, const int8_t *x, int8_t *out);

#endif
