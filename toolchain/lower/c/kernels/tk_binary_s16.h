/* tk_binary_s16.h - what add, sub and mul share: walking two operands of int16 codes that may broadcast.
 *
 * a, b  int16; what out[i][j][k][l] is made of lies at i * stride[0] + j * stride[1] + k * stride[2] +
 *       l * stride[3] from the start of a (a_stride) or b (b_stride); a stride of 0 repeats
 * out   [shape[0]][shape[1]][shape[2]][shape[3]]  int16
 *
 * a_multiplier, a_shift, b_multiplier, b_shift
 *                    add and sub: bring code * 2^15 to a common scale
 * multiplier, shift  of the result, see tk_requantize.h
 * low, high          of the output
 */
#ifndef TK_BINARY_S16_H
#define TK_BINARY_S16_H

#include "tk_requantize_s16.h"

typedef struct {
    int32_t shape[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
    int32_t a_multiplier;
    int32_t a_shift;
    int32_t b_multiplier;
    int32_t b_shift;
    int32_t multiplier;
    int32_t shift;
    int32_t low;
    int32_t high;
} tk_binary_s16_params;

/* Of two codes: the accumulator that `multiplier` brings to the output's scale. */
typedef int32_t tk_combine_s16(const tk_binary_s16_params *restrict p, int32_t a, int32_t b);

static inline void tk_binary_row_s16(const tk_binary_s16_params *restrict p, const int16_t *a,
                                     const int16_t *b, tk_combine_s16 *combine, int16_t *out) {
    for (int32_t l = 0; l < p->shape[3]; l++) {
        int32_t acc = combine(p, a[l * p->a_stride[3]], b[l * p->b_stride[3]]);
        out[l] = tk_code_s16(tk_requantize(acc, p->multiplier, p->shift), p->low, p->high);
    }
}

static inline void tk_binary_s16(const tk_binary_s16_params *restrict p, const int16_t *a, const int16_t *b,
                                 tk_combine_s16 *combine, int16_t *out) {
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                tk_binary_row_s16(p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                                  b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], combine,
                                  out);
                out += p->shape[3];
            }
        }
    }
}

/* code * 2^15 at the scale that add and sub work in: twice the larger of the inputs'. */
static inline int32_t tk_common_scale_s16(int32_t code, int32_t multiplier, int32_t shift) {
    return tk_requantize(code * (1 << 15), multiplier, shift);
}

#endif
