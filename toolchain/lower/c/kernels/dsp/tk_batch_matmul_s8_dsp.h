/* tk_batch_matmul_s8_dsp.h - products of matrices, four columns at a time.
 *
 *   out = clamp(tk_output_s8_dsp(2 * sum over k of (a[m][k] - a_zero_point) * (b[k][n] - b_zero_point)))
 *
 * batch to b_column, zero points, a, b, out  as in tk_batch_matmul_s8.h; a's rows are without gaps (a_depth 1)
 * depth       such that |sum| is below 2^30
 * scale       record of tk_output_s8_dsp.h;  low, high: codes
 * scratch     32 bytes for every four values of depth, or part of four: four columns of b as words, which all
 *             rows of a meet
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_BATCH_MATMUL_S8_DSP_H
#define TK_BATCH_MATMUL_S8_DSP_H

#include "tk_output_s8_dsp.h"

typedef struct {
    int32_t batch[3];
    int32_t a_batch[3];
    int32_t b_batch[3];
    int32_t rows;
    int32_t depth;
    int32_t columns;
    int32_t a_row;
    int32_t b_depth;
    int32_t b_column;
    int32_t a_zero_point;
    int32_t b_zero_point;
    int32_t scale[3];
    int32_t low;
    int32_t high;
} tk_batch_matmul_s8_dsp_params;

void tk_batch_matmul_s8_dsp(const tk_batch_matmul_s8_dsp_params *p, const int8_t *a, const int8_t *b,
                            void *scratch, int8_t *out);

#endif
