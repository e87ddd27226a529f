/* tk_log_softmax_s8.h - logarithm of softmax over the last axis.
 *
 *   sum    = sum over j of exp[largest - x[j]]
 *   out[i] = 127 + round(16 * (scaled[largest - x[i]] - log(sum))), at least -128
 *
 * x, out  [rows][depth]  int8; out may be x. The output's scale is 1/16, its zero point 127
 * exp     [256]          exp(-steps * scale of x) in Q0.31, 0 beyond the range of 5 integer bits
 * scaled  [256]          -steps * scale of x in Q5.26, at least -16
 * depth   below 4096: the sum is held in Q12.19
 *
 * The tables are made at build time by toolchain.runtime.log_softmax_int8. Source: TensorFlow Lite
 * reference/log_softmax.h, common.h log_x_for_x_greater_than_or_equal_to_1. Reentrant; no memory, no libc.
 */
#ifndef TK_LOG_SOFTMAX_S8_H
#define TK_LOG_SOFTMAX_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    const int32_t *exp;
    const int32_t *scaled;
} tk_log_softmax_s8_params;

void tk_log_softmax_s8(const tk_log_softmax_s8_params *p, const int8_t *x, int8_t *out);

#endif
