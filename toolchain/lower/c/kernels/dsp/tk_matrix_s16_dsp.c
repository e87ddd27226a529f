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

static void one_row(const int32_t *weight, const int16_t *const x[], int32_t depth, sums total[1]) {
    const int16_t *x0 = x[0];
    sums sum = {0, 0};
    for (int32_t left = depth / 2; left > 0; left--, x0 += 2) {
        sum = with(sum, (uint32_t)*weight++, tk_word(x0));
    }
    total[0] = depth & 1 ? with(sum, (uint32_t)*weight, tk_half(x0)) : sum;
}

static void three_rows(const int32_t *weight, const int16_t *const x[], int32_t depth, sums total[3]) {
    const int16_t *x0 = x[0], *x1 = x[1], *x2 = x[2];
    sums sum0 = {0, 0}, sum1 = sum0, sum2 = sum0;
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
    total[0] = sum0;
    total[1] = sum1;
    total[2] = sum2;
}

void tk_matrix_s16_dsp(const tk_matrix_s16_dsp_params *p, const int16_t *const x[], int32_t rows,
                       int16_t *out) {
    const int32_t *weight = p->weight;
    for (int32_t c = 0; c < p->channels; c += 2, weight += (p->depth + 1) / 2) {
        sums total[3];
        if (rows == 1) {
            one_row(weight, x, p->depth, total);
        } else {
            three_rows(weight, x, p->depth, total);
        }
        for (int32_t i = 0; i < rows; i++) {
            int16_t *codes = out + i * p->channels + c;
            codes[0] = tk_output_s16(&p->output, c, total[i].a);
            if (c + 1 < p->channels) {
                codes[1] = tk_output_s16(&p->output, c + 1, total[i].b);
            }
        }
    }
}
