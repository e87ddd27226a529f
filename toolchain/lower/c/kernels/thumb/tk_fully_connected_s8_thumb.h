/* tk_fully_connected_s8_thumb.h - rows of values times a constant matrix; also a 1x1 convolution.
 *
 * x          [rows][matrix.depth]     int8
 * out        [rows][matrix.channels]  int8
 * scratch    see tk_matrix_s8_thumb.h; aligned to 4
 * backwards  0, or 1: rows are done from the last on
 *
 * Two rows at a time, read whole before their outputs are written; the last, forwards or backwards, may be
 * alone. The matrix and the arithmetic are tk_matrix_s8_thumb.h's. Reentrant; no libc.
 */
#ifndef TK_FULLY_CONNECTED_S8_THUMB_H
#define TK_FULLY_CONNECTED_S8_THUMB_H

#include "tk_matrix_s8_thumb.h"

typedef struct {
    int32_t rows;
    int32_t backwards;
    tk_matrix_s8_thumb_params matrix;
} tk_fully_connected_s8_thumb_params;

void tk_fully_connected_s8_thumb(const tk_fully_connected_s8_thumb_params *p, const int8_t *x, void *scratch,
                                 int8_t *out);

#endif
