#include "tk_batch_matmul_s8.h"

#include "tk_requantize.h"

/* Sums of four columns. b's zero point comes off at the end, times the sum of a's values. */
static void four_columns(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b,
                         int32_t sums[4]) {
    const int8_t *b1 = b + p->b_column, *b2 = b1 + p->b_column, *b3 = b2 + p->b_column;
    const int32_t a_depth = p->a_depth, b_depth = p->b_depth, a_zero_point = p->a_zero_point;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0, total = 0;
    for (int32_t k = 0, left = p->depth; left > 0; left--, k += b_depth) {
        const int32_t value = *a - a_zero_point;
        a += a_depth;
        total += value;
        sum0 += value * b[k];
        sum1 += value * b1[k];
        sum2 += value * b2[k];
        sum3 += value * b3[k];
    }
    total *= p->b_zero_point;
    sums[0] = sum0 - total, sums[1] = sum1 - total, sums[2] = sum2 - total, sums[3] = sum3 - total;
}

static int32_t one_column(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b) {
    int32_t sum = 0;
    for (int32_t left = p->depth; left > 0; left--) {
        sum += (*a - p->a_zero_point) * (*b - p->b_zero_point);
        a += p->a_depth;
        b += p->b_depth;
    }
    return sum;
}

static void row(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t n = 0; n < p->columns;) {
        const int32_t count = p->columns - n < 4 ? 1 : 4;
        int32_t sums[4];
        if (count == 4) {
            four_columns(p, a, b, sums);
        } else {
            sums[0] = one_column(p, a, b);
        }
        for (int32_t i = 0; i < count; i++) {
            const int32_t value = tk_requantize(sums[i], p->multiplier, p->shift);
            out[n + i] = tk_code_s8(value, p->zero_point, p->low, p->high);
        }
        n += count;
        b += count * p->b_column;
    }
}

static void matrix(const tk_batch_matmul_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t m = 0; m < p->rows; m++) {
        row(p, a + m * p->a_row, b, out + m * p->columns);
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
