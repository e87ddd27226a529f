#include "tk_depthwise_conv2d_s4.h"

/* The weight in the low four bits. */
static int32_t low(int8_t byte) {
    return (int32_t)((uint32_t)byte << 28) >> 28;
}

static void four_channels(const tk_depthwise_conv2d_s4_params *p, const int8_t *patch, int32_t c,
                          int8_t *out) {
    const int32_t channels = p->window.channels, taps = p->window.kernel_height * p->window.kernel_width;
    const int8_t *x = patch + c, *w = p->weight + c / 2;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        sum0 += x[0] * low(w[0]);
        sum1 += x[1] * (w[0] >> 4);
        sum2 += x[2] * low(w[1]);
        sum3 += x[3] * (w[1] >> 4);
        x += channels;
        w += (channels + 1) / 2;
    }
    out[c] = tk_output_s8(&p->output, c, sum0);
    out[c + 1] = tk_output_s8(&p->output, c + 1, sum1);
    out[c + 2] = tk_output_s8(&p->output, c + 2, sum2);
    out[c + 3] = tk_output_s8(&p->output, c + 3, sum3);
}

static void one_channel(const tk_depthwise_conv2d_s4_params *p, const int8_t *patch, int32_t c, int8_t *out) {
    const int32_t channels = p->window.channels, taps = p->window.kernel_height * p->window.kernel_width;
    int32_t sum = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        const int8_t byte = p->weight[tap * ((channels + 1) / 2) + c / 2];
        sum += patch[tap * channels + c] * (c % 2 ? byte >> 4 : low(byte));
    }
    out[c] = tk_output_s8(&p->output, c, sum);
}

void tk_depthwise_conv2d_s4(const tk_depthwise_conv2d_s4_params *p, const int8_t *x, int8_t *scratch,
                            int8_t *out) {
    const int32_t channels = p->window.channels;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            const int8_t *patch = tk_patch_s8(&p->window, x, row, column, scratch);
            int32_t c = 0;
            for (; c + 4 <= channels; c += 4) {
                four_channels(p, patch, c, out);
            }
            for (; c < channels; c++) {
                one_channel(p, patch, c, out);
            }
            out += channels;
        }
    }
}
