/* tk_fully_connected_s16.h - rows of int16 values times a constant matrix; also a 1x1 convolution without
 * stride.
 *
 * x    [rows][matrix.depth]     int16
 * out  [rows][matrix.channels]  int16
 * The matrix and the arithmetic are tk_matrix_s16.h's. Rows are done in ascending order: out may begin
 * before x where it overwrites nothing of the same row or a later one. Reentrant; no memory, no libc.
 */
#ifndef TK_FULLY_CONNECTED_S16_H
#define TK_FULLY_CONNECTED_S16_H

#include "tk_matrix_s16.h"

typedef struct {
    int32_t rows;
    tk_matrix_s16_params matrix;
} tk_fully_connected_s16_params;

void tk_fully_connected_s16(const tk_fully_connected_s16_params *p, const void *x, void *out);

#endif
