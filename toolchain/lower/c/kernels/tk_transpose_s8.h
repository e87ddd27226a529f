/* tk_transpose_s8.h - reorder axes.
 *
 *   out[i][j][k][l][m][n] = x[i * stride[0] + j * stride[1] + k * stride[2] + l * stride[3]
 *                             + m * stride[4] + n * stride[5]]
 *
 * out  [shape[0]][shape[1]] ... [shape[5]]  int8, same scale and zero point; may not overlap x
 * Reentrant; no memory, no libc.
 */
#ifndef TK_TRANSPOSE_S8_H
#define TK_TRANSPOSE_S8_H

#include <stdint.h>

typedef struct {
    int32_t shape[6];
    int32_t stride[6];
} tk_transpose_s8_params;

void tk_transpose_s8(const tk_transpose_s8_params *p, const int8_t *x, int8_t *out);

#endif
