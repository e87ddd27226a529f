/* tk_binary_s8.h - what add, sub, mul, div and prelu share: walking two operands that may broadcast.
 *
 * a, b  int8; what out[i][j][k][l] is made of lies at i * stride[0] + j * stride[1] + k * stride[2] +
 *       l * stride[3] from the start of a (a_stride) or b (b_stride); a stride of 0 repeats
 * out   [shape[0]][shape[1]][shape[2]][shape[3]]  int8
 *
 * a_zero_point, b_zero_point  subtracted from the codes
 * a_multiplier, a_shift, b_multiplier, b_shift
 *                             add and sub: bring (code - zero point) * 2^20 to a common scale; div, prelu:
 *                             see there
 * multiplier, shift           of the result, see tk_requantize.h; div and prelu, which are done by then: 2^30
 *                             and 1, that is 1.0
 * zero_point                  of the output;  low, high: the output's range less zero_point
 */
#ifndef TK_BINARY_S8_H
#define TK_BINARY_S8_H

#include "tk_requantize.h"

typedef struct {
    int32_t shape[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t a_zero_point;
    int32_t a_multiplier;
    int32_t a_shift;
    int32_t b_zero_point;
    int32_t b_multiplier;
    int32_t b_shift;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_binary_s8_params;

/* Of two codes less their zero points: the accumulator that `multiplier` brings to the output's scale. */
typedef int32_t tk_combine_s8(const tk_binary_s8_params *restrict p, int32_t a, int32_t b);

static inline void tk_binary_row_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b,
                                    tk_combine_s8 *combine, int8_t *out) {
    for (int32_t l = 0; l < p->shape[3]; l++) {
        int32_t acc =
            combine(p, a[l * p->a_stride[3]] - p->a_zero_point, b[l * p->b_stride[3]] - p->b_zero_point);
        out[l] = tk_code_s8(tk_requantize(acc, p->multiplier, p->shift), p->zero_point, p->low, p->high);
    }
}

static inline void tk_binary_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b,
                                tk_combine_s8 *combine, int8_t *out) {
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                tk_binary_row_s8(p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                                 b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], combine,
                                 out);
                out += p->shape[3];
            }
        }
    }
}

/* (code - zero point) * 2^20 at the scale that add and sub work in: twice the larger of the inputs'. */
static inline int32_t tk_common_scale_s8(int32_t centred, int32_t multiplier, int32_t shift) {
    return tk_requantize(centred * (1 << 20), multiplier, shift);
}

/* What div and prelu hand on: so small that a multiplication by 1.0 leaves it as it is. */
static inline int32_t tk_limited_s8(const tk_binary_s8_params *restrict p, int32_t value) {
    return value < p->low ? p->low : value > p->high ? p->high : value;
}

#endif
