/* tk_weighted_sum_s8_mve.h - elementwise add and sub of codes, scaled by one multiplication for each.
 *
 *   out = clamp((a * a_weight + b * b_weight + offset) / 2^21)     rounded down
 *
 * a, b    [rows][size] int8, a_step and b_step bytes from one row to the next, 0 where one serves all
 * out     [rows][size] int8; may be a or b where their elements coincide, or begin before them
 * low, high  range of the output's codes
 *
 * The weights are such that this is tk_add_s8.h's or tk_sub_s8.h's result for every pair of codes
 * (toolchain/lower/c/affine.py). Four elements at a time. Reentrant; no libc.
 */
#ifndef TK_WEIGHTED_SUM_S8_MVE_H
#define TK_WEIGHTED_SUM_S8_MVE_H

#include <stdint.h>

typedef struct {
    int32_t a_weight;
    int32_t b_weight;
    int32_t offset;
    int32_t low;
    int32_t high;
    int32_t rows;
    int32_t size;
    int32_t a_step;
    int32_t b_step;
} tk_weighted_sum_s8_mve_params;

void tk_weighted_sum_s8_mve(const tk_weighted_sum_s8_mve_params *p, const int8_t *a, const int8_t *b,
                            int8_t *out);

#endif
