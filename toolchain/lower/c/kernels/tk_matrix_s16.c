#include "tk_matrix_s16.h"

static void four_channels(const tk_matrix_s16_params *p, const int16_t *x, int32_t o, int16_t *out) {
    const int32_t depth = p->depth;
    const int8_t *w0 = p->weight + o * depth, *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int64_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int32_t k = 0; k < depth; k++) {
        int32_t value = x[k];
        sum0 += value * w0[k];
        sum1 += value * w1[k];
        sum2 += value * w2[k];
        sum3 += value * w3[k];
    }
    out[o] = tk_output_s16(&p->output, o, sum0);
    out[o + 1] = tk_output_s16(&p->output, o + 1, sum1);
    out[o + 2] = tk_output_s16(&p->output, o + 2, sum2);
    out[o + 3] = tk_output_s16(&p->output, o + 3, sum3);
}

static void one_channel(const tk_matrix_s16_params *p, const int16_t *x, int32_t o, int16_t *out) {
    const int8_t *w = p->weight + o * p->depth;
    int64_t sum = 0;
    for (int32_t k = 0; k < p->depth; k++) {
        sum += x[k] * w[k];
    }
    out[o] = tk_output_s16(&p->output, o, sum);
}

void tk_matrix_row_s16(const tk_matrix_s16_params *p, const int16_t *x, int16_t *out) {
    int32_t o = 0;
    for (; o + 4 <= p->channels; o += 4) {
        four_channels(p, x, o, out);
    }
    for (; o < p->channels; o++) {
        one_channel(p, x, o, out);
    }
}
