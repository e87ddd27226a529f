#include "tk_grouped_conv2d_s8.h"

static void four_channels(const tk_grouped_conv2d_s8_params *p, const int8_t *x, int32_t o, int8_t *out) {
    const int32_t taps = p->window.kernel_height * p->window.kernel_width, pitch = taps * p->depth;
    const int8_t *w0 = p->weight + o * pitch, *w1 = w0 + pitch, *w2 = w1 + pitch, *w3 = w2 + pitch;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        for (int32_t i = 0; i < p->depth; i++) {
            int32_t value = x[i];
            sum0 += value * *w0++;
            sum1 += value * *w1++;
            sum2 += value * *w2++;
            sum3 += value * *w3++;
        }
        x += p->window.channels;
    }
    out[o] = tk_output_s8(&p->output, o, sum0);
    out[o + 1] = tk_output_s8(&p->output, o + 1, sum1);
    out[o + 2] = tk_output_s8(&p->output, o + 2, sum2);
    out[o + 3] = tk_output_s8(&p->output, o + 3, sum3);
}

static void one_channel(const tk_grouped_conv2d_s8_params *p, const int8_t *x, int32_t o, int8_t *out) {
    const int32_t taps = p->window.kernel_height * p->window.kernel_width;
    const int8_t *w = p->weight + o * taps * p->depth;
    int32_t sum = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        for (int32_t i = 0; i < p->depth; i++) {
            sum += x[i] * *w++;
        }
        x += p->window.channels;
    }
    out[o] = tk_output_s8(&p->output, o, sum);
}

static void pixel(const tk_grouped_conv2d_s8_params *p, const int8_t *patch, int8_t *out) {
    for (int32_t group = 0; group < p->groups; group++) {
        const int8_t *x = patch + group * p->depth;
        int32_t o = group * p->outputs;
        const int32_t end = o + p->outputs;
        for (; o + 4 <= end; o += 4) {
            four_channels(p, x, o, out);
        }
        for (; o < end; o++) {
            one_channel(p, x, o, out);
        }
    }
}

void tk_grouped_conv2d_s8(const tk_grouped_conv2d_s8_params *p, const int8_t *x, int8_t *scratch,
                          int8_t *out) {
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            pixel(p, tk_patch_s8(&p->window, x, row, column, scratch), out);
            out += p->groups * p->outputs;
        }
    }
}
