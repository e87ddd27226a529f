/* tk_softmax_s8.h - softmax over the last axis.
 *
 *   out[i] = round(256 * exp[largest - x[i]] / sum over j of exp[largest - x[j]]) - 128, at most 127
 *
 * x, out  [rows][depth]  int8; out may be x. The output's scale is 1/256, its zero point -128
 * exp     [256]          exp(-steps * beta * scale of x) in Q0.31, 0 beyond the range of 5 integer bits
 * depth   below 4096: the sum is held in Q12.19
 *
 * Source: TensorFlow Lite reference/softmax.h; gemmlowp/fixedpoint one_over_one_plus_x_for_x_in_0_1.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_SOFTMAX_S8_H
#define TK_SOFTMAX_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    const int32_t *exp;
} tk_softmax_s8_params;

void tk_softmax_s8(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out);

#endif
