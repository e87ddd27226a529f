/* tk_binary_s8_mve.h - what elementwise kernels of two operands share: walking them where they broadcast.
 *
 * a, b  int8; what out[i][j][k][l] is made of lies at i * stride[0] + j * stride[1] + k * stride[2] + l from the
 *       start of a (a_stride) or b (b_stride)
 * out   [shape[0]][shape[1]][shape[2]][shape[3]]  int8; may be a or b where their elements coincide
 */
#ifndef TK_BINARY_S8_MVE_H
#define TK_BINARY_S8_MVE_H

#include <stdint.h>

typedef struct {
    int32_t shape[4];
    int32_t a_stride[3];
    int32_t b_stride[3];
} tk_binary_s8_mve_walk;

/* shape[3] neighbours. p: the kernel's parameters */
typedef void tk_binary_s8_mve_row(const void *p, const int8_t *a, const int8_t *b, int8_t *out, int32_t count);

static inline void tk_binary_s8_mve(const tk_binary_s8_mve_walk *walk, tk_binary_s8_mve_row *row, const void *p,
                                    const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t i = 0; i < walk->shape[0]; i++) {
        for (int32_t j = 0; j < walk->shape[1]; j++) {
            for (int32_t k = 0; k < walk->shape[2]; k++) {
                row(p, a + i * walk->a_stride[0] + j * walk->a_stride[1] + k * walk->a_stride[2],
                    b + i * walk->b_stride[0] + j * walk->b_stride[1] + k * walk->b_stride[2], out,
                    walk->shape[3]);
                out += walk->shape[3];
            }
        }
    }
}

#endif
