/* tk_pointwise_s8_mve.h - rows of values times a constant matrix: 1x1 convolutions without stride.
 *
 * x    [rows][matrix.depth]     int8
 * out  [rows][matrix.channels]  int8
 * first, step  the row that is taken first, 0 or rows - 1, and the way to the next one, 1 or -1
 *
 * The matrix and the arithmetic are tk_rows_s8_mve.h's. The output may lie over rows of x that are done: two at
 * a time, in the order of `step`. Reentrant; no libc.
 */
#ifndef TK_POINTWISE_S8_MVE_H
#define TK_POINTWISE_S8_MVE_H

#include "tk_rows_s8_mve.h"

typedef struct {
    int32_t rows;
    int32_t first;
    int32_t step;
    tk_rows_s8_mve_params matrix;
} tk_pointwise_s8_mve_params;

void tk_pointwise_s8_mve(const tk_pointwise_s8_mve_params *p, const int8_t *x, int8_t *out);

#endif
