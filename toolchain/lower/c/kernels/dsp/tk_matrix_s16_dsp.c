#include "tk_matrix_s16_dsp.h"

#include "tk_dsp.h"

typedef struct {
    int32_t a;
    int32_t b;
} sums;

/* What a word of weights adds for two values. */
static inline sums with(sums total, uint32_t word, uint32_t values) {
    total.a = tk_smlad(values, tk_sxtb16(word), total.a);
    total.b = tk_smlad(values, tk_sxtb16_odd(word), total.b);
    return total;
}

/* Sums that begin at `sum`, those of the first channel first. */
static void one_row(const int32_t *weight, const int16_t *const x[], int32_t depth, sums sum,
                    int32_t total[2][3]) {
    const int16_t *x0 = x[0];
    for (int32_t left = depth / 2; left > 0; left--, x0 += 2) {
        sum = with(sum, (uint32_t)*weight++, tk_word(x0));
    }
    sum = depth & 1 ? with(sum, (uint32_t)*weight, tk_half(x0)) : sum;
    total[0][0] = sum.a;
    total[1][0] = sum.b;
}

static void three_rows(const int32_t *weight, const int16_t *const x[], int32_t depth, sums sum0,
                       int32_t total[2][3]) {
    const int16_t *x0 = x[0], *x1 = x[1], *x2 = x[2];
    sums sum1 = sum0, sum2 = sum0;
    for (int32_t left = depth / 2; left > 0; left--, x0 += 2, x1 += 2, x2 += 2) {
        uint32_t word = (uint32_t)*weight++;
        sum0 = with(sum0, word, tk_word(x0));
        sum1 = with(sum1, word, tk_word(x1));
        sum2 = with(sum2, word, tk_word(x2));
    }
    if (depth & 1) {
        sum0 = with(sum0, (uint32_t)*weight, tk_half(x0));
        sum1 = with(sum1, (uint32_t)*weight, tk_half(x1));
        sum2 = with(sum2, (uint32_t)*weight, tk_half(x2));
    }
    total[0][0] = sum0.a;
    total[0][1] = sum1.a;
    total[0][2] = sum2.a;
    total[1][0] = sum0.b;
    total[1][1] = sum1.b;
    total[1][2] = sum2.b;
}

void tk_matrix_s16_dsp(const tk_matrix_s16_dsp_params *p, const int16_t *const x[], int32_t rows,
                       int16_t *out) {
    const int32_t *weight = p->weight;
    for (int32_t c = 0; c < p->channels; c += 2, weight += (p->depth + 1) / 2) {
        const int32_t channels = c + 1 < p->channels ? 2 : 1;
        const sums bias = {p->output.bias[c], channels == 2 ? p->output.bias[c + 1] : 0};
        int32_t total[2][3];
        (rows == 1 ? one_row : three_rows)(weight, x, p->depth, bias, total);
        for (int32_t i = 0; i < channels; i++) {
            tk_output_s16_dsp(&p->output, c + i, total[i], rows, out + c + i, p->channels);
        }
    }
}
