/* tk_weighted_sum_s8.h - what elementwise add and sub of codes take, where each is scaled by one multiplication.
 *
 * a, b    [rows][size] int8, a_step and b_step bytes from one row to the next, 0 where one serves all
 * out     [rows][size] int8; may be a or b where their elements coincide, or begin before them
 * low, high  range of the output's codes
 *
 * The weights and the offset are such that the kernel's result is tk_add_s8.h's or tk_sub_s8.h's for every pair
 * of codes (toolchain/lower/c/affine.py).
 */
#ifndef TK_WEIGHTED_SUM_S8_H
#define TK_WEIGHTED_SUM_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t size;
    int32_t a_step;
    int32_t b_step;
    int32_t a_weight;
    int32_t b_weight;
    int32_t offset;
    int32_t low;
    int32_t high;
} tk_weighted_sum_s8_params;

#endif
