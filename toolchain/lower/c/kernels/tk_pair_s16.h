/* tk_pair_s16.h - what minimum and maximum share: walking two operands of one scale that may broadcast.
 *
 * a, b  int16; what out[i][j][k][l] is made of lies at i * stride[0] + j * stride[1] + k * stride[2] +
 *       l * stride[3] from the start of a (a_stride) or b (b_stride); a stride of 0 repeats
 * out   [shape[0]][shape[1]][shape[2]][shape[3]]  int16; a, b and out have the same scale
 */
#ifndef TK_PAIR_S16_H
#define TK_PAIR_S16_H

#include <stdint.h>

typedef struct {
    int32_t shape[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
} tk_pair_s16_params;

/* One of two codes. */
typedef int16_t tk_choose_s16(int16_t a, int16_t b);

static inline void tk_pair_row_s16(const tk_pair_s16_params *restrict p, const int16_t *a, const int16_t *b,
                                  tk_choose_s16 *choose, int16_t *out) {
    for (int32_t l = 0; l < p->shape[3]; l++) {
        out[l] = choose(a[l * p->a_stride[3]], b[l * p->b_stride[3]]);
    }
}

static inline void tk_pair_s16(const tk_pair_s16_params *restrict p, const int16_t *a, const int16_t *b,
                              tk_choose_s16 *choose, int16_t *out) {
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                tk_pair_row_s16(p, a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2],
                               b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2], choose, out);
                out += p->shape[3];
            }
        }
    }
}

#endif
