/* tk_fully_connected_s8.h - rows of values times a constant matrix; also a 1x1 convolution without stride.
 *
 * x    [rows][matrix.depth]     int8
 * out  [rows][matrix.channels]  int8
 * The matrix and the arithmetic are tk_matrix_s8.h's. Rows are done in ascending order: out may begin
 * before x where it overwrites nothing of the same row or a later one. Reentrant; no memory, no libc.
 */
#ifndef TK_FULLY_CONNECTED_S8_H
#define TK_FULLY_CONNECTED_S8_H

#include "tk_matrix_s8.h"

typedef struct {
    int32_t rows;
    tk_matrix_s8_params matrix;
} tk_fully_connected_s8_params;

void tk_fully_connected_s8(const tk_fully_connected_s8_params *p, const int8_t *x, int8_t *out);

#endif
