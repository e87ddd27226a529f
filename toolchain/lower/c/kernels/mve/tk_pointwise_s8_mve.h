/* tk_pointwise_s8_mve.h - rows of values times a constant matrix: 1x1 convolutions without stride.
 *
 * x    [rows][matrix.depth]     int8
 * out  [rows][matrix.channels]  int8
 * backwards    1 where the last row is taken first
 *
 * The matrix and the arithmetic are tk_rows_s8_mve.h's. The output may lie over rows of x that are done: two
 * at a time, in that order. Reentrant; no libc.
 */
#ifndef TK_POINTWISE_S8_MVE_H
#define TK_POINTWISE_S8_MVE_H

#include "tk_rows_s8_mve.h"

typedef struct {
    int32_t rows;
    int32_t backwards;
    tk_rows_s8_mve_params matrix;
} tk_pointwise_s8_mve_params;

void tk_pointwise_s8_mve(const tk_pointwise_s8_mve_params *p, const int8_t *x, int8_t *out);

#endif
