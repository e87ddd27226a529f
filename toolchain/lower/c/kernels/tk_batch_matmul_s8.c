#include "tk_batch_matmul_s8.h"

#include "tk_requantize.h"

static int32_t product(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b) {
    const int32_t a_depth = p->a_depth, b_depth = p->b_depth;
    int32_t sum = 0;
    for (int32_t k = 0; k < p->depth; k++) {
        sum += (*a - p->a_zero_point) * (*b - p->b_zero_point);
        a += a_depth;
        b += b_depth;
    }
    return sum;
}

static void matrix(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t m = 0; m < p->rows; m++) {
        for (int32_t n = 0; n < p->columns; n++) {
            int32_t sum = product(p, a + m * p->a_row, b + n * p->b_column);
            *out++ = tk_code_s8(tk_requantize(sum, p->multiplier, p->shift), p->zero_point, p->low, p->high);
        }
    }
}

void tk_batch_matmul_s8(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t i = 0; i < p->batch[0]; i++) {
        for (int32_t j = 0; j < p->batch[1]; j++) {
            for (int32_t k = 0; k < p->batch[2]; k++) {
                matrix(p, a + i * p->a_batch[0] + j * p->a_batch[1] + k * p->a_batch[2],
                       b + i * p->b_batch[0] + j * p->b_batch[1] + k * p->b_batch[2], out);
                out += p->rows * p->columns;
            }
        }
    }
}
