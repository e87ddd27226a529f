#include "tk_matrix_s8_scalar.h"

/* Codes of `count` channels from o on of two rows: sums[i] and sums[4 + i]. */
static void put_pairs(const tk_output_s8_scalar_params *p, int32_t o, int32_t count, const int32_t *sums,
                      int8_t *out0, int8_t *out1) {
    const tk_output_s8_scalar_params output = *p;
    for (const int32_t end = o + count; o < end; o++, sums++) {
        const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&output, o);
        out0[o] = tk_output_s8_scalar(&output, scale, sums[0]);
        out1[o] = tk_output_s8_scalar(&output, scale, sums[4]);
    }
}

static int32_t one_channel(const tk_runs *runs, const int8_t *x, const int8_t *w, int32_t sum) {
    for (int32_t left = runs->count; left > 0; left--) {
        for (int32_t k = 0; k < runs->length; k++) {
            sum += x[k] * w[k];
        }
        x += runs->pitch;
        w += runs->length;
    }
    return sum;
}

void tk_matrix_pair_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x0,
                              const int8_t *x1, int8_t *out0, int8_t *out1) {
    const int8_t *w = p->weight;
    const int32_t *bias = p->output.bias;
    int32_t o = 0;
    for (; o + 4 <= p->channels; o += 4, bias += 4) {
        int32_t sums[8] = {bias[0], bias[1], bias[2], bias[3], bias[0], bias[1], bias[2], bias[3]};
        w = tk_dot_two_s8_scalar(runs, x0, x1, w, sums);
        put_pairs(&p->output, o, 4, sums, out0, out1);
    }
    for (; o < p->channels; o++, w += runs->count * runs->length, bias++) {
        const int32_t sums[5] = {one_channel(runs, x0, w, *bias), 0, 0, 0, one_channel(runs, x1, w, *bias)};
        put_pairs(&p->output, o, 1, sums, out0, out1);
    }
}

void tk_matrix_row_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x,
                             int8_t *out) {
    const tk_output_s8_scalar_params output = p->output;
    const int8_t *w = p->weight;
    const int32_t *bias = output.bias;
    int32_t o = 0;
    for (; o + 4 <= p->channels; o += 4, bias += 4) {
        int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
        w = tk_dot_one_s8_scalar(runs, x, w, sums);
        for (int32_t i = 0; i < 4; i++) {
            out[o + i] = tk_output_s8_scalar(&output, tk_scale_of_s8_scalar(&output, o + i), sums[i]);
        }
    }
    for (; o < p->channels; o++, w += runs->count * runs->length, bias++) {
        const int32_t sum = one_channel(runs, x, w, *bias);
        out[o] = tk_output_s8_scalar(&output, tk_scale_of_s8_scalar(&output, o), sum);
    }
}
