#include "tk_batch_matmul_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"

enum { COLUMNS = 4, STEP = 4 };

/* Up to four values of a column less b's zero point, as the words of values 0 and 2, and 1 and 3. */
static inline void widen_four(const tk_batch_matmul_s8_dsp_params *p, const int8_t *b, int32_t count,
                              uint32_t words[2]) {
    const int32_t next = p->b_depth, zero = p->b_zero_point;
    if (count >= STEP) {
        words[0] = tk_low_halves((uint32_t)(b[0] - zero), (uint32_t)(b[2 * next] - zero));
        words[1] = tk_low_halves((uint32_t)(b[next] - zero), (uint32_t)(b[3 * next] - zero));
        return;
    }
    words[0] = tk_halves(count > 0 ? b[0] - zero : 0, count > 2 ? b[2 * next] - zero : 0);
    words[1] = tk_halves(count > 1 ? b[next] - zero : 0, 0);
}

/* So many columns, step by step of four values, and zeros where there are no more. */
static void widen(const tk_batch_matmul_s8_dsp_params *p, const int8_t *b, int32_t columns, uint32_t *words) {
    for (int32_t left = p->depth; left > 0; left -= STEP) {
        const int8_t *column = b;
        for (int32_t n = 0; n < COLUMNS; n++) {
            widen_four(p, column, n < columns ? left : 0, words);
            column += p->b_column;
            words += 2;
        }
        b += STEP * p->b_depth;
    }
}

/* The last values of a row, fewer than four, and zeros. */
static uint32_t last_codes(const int8_t *a, int32_t count) {
    uint32_t codes = 0;
    for (int32_t i = 0; i < count; i++) {
        codes |= (uint32_t)(uint8_t)a[i] << 8 * i;
    }
    return codes;
}

/* Of a row of a and four columns, twice their sums. */
static void sums_of(const int8_t *a, int32_t depth, uint32_t a_zero, const uint32_t *words,
                    int32_t twice[COLUMNS]) {
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (; depth > 0; depth -= STEP) {
        const uint32_t codes = depth >= STEP ? tk_word(a) : last_codes(a, depth);
        const uint32_t even = tk_sxtab16(a_zero, codes), odd = tk_sxtab16_odd(a_zero, codes);
        sum0 = tk_smlad(odd, words[1], tk_smlad(even, words[0], sum0));
        sum1 = tk_smlad(odd, words[3], tk_smlad(even, words[2], sum1));
        sum2 = tk_smlad(odd, words[5], tk_smlad(even, words[4], sum2));
        sum3 = tk_smlad(odd, words[7], tk_smlad(even, words[6], sum3));
        a += STEP;
        words += 2 * COLUMNS;
    }
    twice[0] = 2 * sum0, twice[1] = 2 * sum1, twice[2] = 2 * sum2, twice[3] = 2 * sum3;
}

static void matrix(const tk_batch_matmul_s8_dsp_params *p, const int8_t *a, const int8_t *b, uint32_t *words,
                   int8_t *out) {
    const uint32_t a_zero = tk_halves(-p->a_zero_point, -p->a_zero_point);
    for (int32_t n = 0; n < p->columns; n += COLUMNS) {
        const int32_t columns = p->columns - n < COLUMNS ? p->columns - n : COLUMNS;
        const int8_t *row = a;
        int8_t *to = out + n;
        widen(p, b + n * p->b_column, columns, words);
        for (int32_t m = 0; m < p->rows; m++) {
            int32_t twice[COLUMNS];
            sums_of(row, p->depth, a_zero, words, twice);
            for (int32_t i = 0; i < columns; i++) {
                to[i] = tk_output_s8_dsp(p->scale, twice[i]);
            }
            row += p->a_row;
            to += p->columns;
        }
    }
}

void tk_batch_matmul_s8_dsp(const tk_batch_matmul_s8_dsp_params *p, const int8_t *a, const int8_t *b,
                            void *scratch, int8_t *out) {
    const int32_t size = p->rows * p->columns;
    for (int32_t i = 0; i < p->batch[0]; i++) {
        for (int32_t j = 0; j < p->batch[1]; j++) {
            for (int32_t k = 0; k < p->batch[2]; k++) {
                matrix(p, a + i * p->a_batch[0] + j * p->a_batch[1] + k * p->a_batch[2],
                       b + i * p->b_batch[0] + j * p->b_batch[1] + k * p->b_batch[2], scratch, out);
                tk_clamp_s8_dsp(out, size, p->low, p->high);
                out += size;
            }
        }
    }
}
