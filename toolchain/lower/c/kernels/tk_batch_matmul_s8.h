/* tk_batch_matmul_s8.h - products of matrices that are both computed, or of which one is a constant.
 *
 *   sum       = sum over k of (a[m][k] - a_zero_point) * (b[k][n] - b_zero_point)
 *   out[m][n] = zero_point + clamp(requantize(sum, multiplier, shift))
 *
 * batch                  sizes of up to three axes of matrices, 1 where unused; a_batch, b_batch: distances
 *                        between neighbours along them, 0 where one matrix meets several
 * a[m][k]                lies at m * a_row + k * a_depth from the start of its matrix;
 * b[k][n]                at k * b_depth + n * b_column: strides say which matrix is transposed
 * a, b                   int8;  out  [batch[0]][batch[1]][batch[2]][rows][columns]  int8, apart from both
 * depth                  below 2^15, so the products sum up within 32 bits
 * multiplier, shift      see tk_requantize.h
 * zero_point             of the output;  low, high: the output's range less zero_point
 *
 * Four columns at a time share each load of a.
 * Source: TensorFlow Lite reference/batch_matmul.h. Reentrant; no memory, no libc.
 */
#ifndef TK_BATCH_MATMUL_S8_H
#define TK_BATCH_MATMUL_S8_H

#include <stdint.h>

typedef struct {
    int32_t batch[3];
    int32_t a_batch[3];
    int32_t b_batch[3];
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row;
    int32_t a_depth;
    int32_t b_depth;
    int32_t b_column;
    int32_t a_zero_point;
    int32_t b_zero_point;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_batch_matmul_s8_params;

void tk_batch_matmul_s8(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
