#include "tk_any_row_s8_dsp.h"

#include "tk_dsp.h"

/* Four products more; x: values 0 and 2, then 1 and 3 */
static inline int32_t with(int32_t sum, const uint32_t x[2], const int8_t *weight) {
    const uint32_t word = tk_word(weight);
    return tk_smlad(x[1], tk_sxtb16_odd(word), tk_smlad(x[0], tk_sxtb16(word), sum));
}

static void four_channels(const tk_matrix_s8_params *p, const int8_t *x, int32_t o, int8_t *out) {
    const int32_t depth = p->depth;
    const int8_t *w0 = p->weight + o * depth, *w1 = w0 + depth, *w2 = w1 + depth, *w3 = w2 + depth;
    int32_t sums[4] = {0, 0, 0, 0};
    int32_t k = 0;
    for (; k + 4 <= depth; k += 4) {
        const uint32_t word = tk_word(x + k), values[2] = {tk_sxtb16(word), tk_sxtb16_odd(word)};
        sums[0] = with(sums[0], values, w0 + k);
        sums[1] = with(sums[1], values, w1 + k);
        sums[2] = with(sums[2], values, w2 + k);
        sums[3] = with(sums[3], values, w3 + k);
    }
    for (; k < depth; k++) {
        sums[0] += x[k] * w0[k];
        sums[1] += x[k] * w1[k];
        sums[2] += x[k] * w2[k];
        sums[3] += x[k] * w3[k];
    }
    for (int32_t i = 0; i < 4; i++) {
        out[o + i] = tk_output_s8(&p->output, o + i, sums[i]);
    }
}

static void one_channel(const tk_matrix_s8_params *p, const int8_t *x, int32_t o, int8_t *out) {
    const int8_t *w = p->weight + o * p->depth;
    int32_t sum = 0, k = 0;
    for (; k + 4 <= p->depth; k += 4) {
        const uint32_t word = tk_word(x + k), values[2] = {tk_sxtb16(word), tk_sxtb16_odd(word)};
        sum = with(sum, values, w + k);
    }
    for (; k < p->depth; k++) {
        sum += x[k] * w[k];
    }
    out[o] = tk_output_s8(&p->output, o, sum);
}

void tk_any_row_s8_dsp(const tk_matrix_s8_params *p, const int8_t *x, int8_t *out) {
    int32_t o = 0;
    for (; o + 4 <= p->channels; o += 4) {
        four_channels(p, x, o, out);
    }
    for (; o < p->channels; o++) {
        one_channel(p, x, o, out);
    }
}
