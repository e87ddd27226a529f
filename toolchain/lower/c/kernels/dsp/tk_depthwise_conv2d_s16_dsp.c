#include "tk_depthwise_conv2d_s16_dsp.h"

#include "tk_dsp.h"

/* Of the channels at x and the next one, added to `sums`. Gives the next two's weights. */
static const int8_t *two_sums(const int16_t *x, const int8_t *weight, int32_t channels, int32_t taps,
                              int32_t sums[2]) {
    int32_t sum0 = sums[0], sum1 = sums[1];
    for (; taps > 1; taps -= 2) {
        const uint32_t first = tk_word(x), second = tk_word(x + channels), weights = tk_word(weight);
        sum0 = tk_smlad(tk_low_halves(first, second), tk_sxtb16(weights), sum0);
        sum1 = tk_smlad(tk_high_halves(first, second), tk_sxtb16_odd(weights), sum1);
        x += 2 * channels;
        weight += 4;
    }
    if (taps > 0) {
        sum0 += x[0] * weight[0];
        sum1 += x[1] * weight[1];
        weight += 4;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    return weight;
}

/* The last one of an odd number. */
static int32_t one_sum(const int16_t *x, const int8_t *weight, int32_t channels, int32_t taps, int32_t sum) {
    for (int32_t tap = 0; tap < taps; tap++) {
        sum += x[tap * channels] * weight[2 * tap];
    }
    return sum;
}

void tk_depthwise_conv2d_s16_dsp(const tk_depthwise_conv2d_s16_dsp_params *p, const void *x, void *scratch,
                                 void *out) {
    const int32_t taps = p->window.kernel_height * p->window.kernel_width, width = p->window.output_width;
    int16_t *codes = out;
    for (int32_t pixel = 0; pixel < p->window.output_height * width; pixel++) {
        const int16_t *patch = tk_patch_s16(&p->window, x, pixel / width, pixel % width, scratch);
        const int8_t *weight = p->weight;
        int32_t channel = 0;
        for (; channel + 2 <= p->channels; channel += 2) {
            int32_t sums[2] = {p->output.bias[channel], p->output.bias[channel + 1]};
            weight = two_sums(patch + channel, weight, p->channels, taps, sums);
            tk_output_s16_dsp(&p->output, channel, sums, 1, codes + channel, 0);
            tk_output_s16_dsp(&p->output, channel + 1, sums + 1, 1, codes + channel + 1, 0);
        }
        if (channel < p->channels) {
            const int32_t bias = p->output.bias[channel];
            const int32_t sum = one_sum(patch + channel, weight, p->channels, taps, bias);
            tk_output_s16_dsp(&p->output, channel, &sum, 1, codes + channel, 0);
        }
        codes += p->channels;
    }
}
