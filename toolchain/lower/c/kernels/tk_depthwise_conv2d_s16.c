#include "tk_depthwise_conv2d_s16.h"

static int64_t one_sum(const tk_depthwise_conv2d_s16_params *p, const int16_t *patch, int32_t c, int32_t o) {
    const int32_t taps = p->window.kernel_height * p->window.kernel_width;
    const int16_t *x = patch + c;
    const int8_t *w = p->weight + o;
    int64_t sum = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        sum += *x * *w;
        x += p->channels;
        w += p->channels * p->multiplier;
    }
    return sum;
}

static void pixel(const tk_depthwise_conv2d_s16_params *p, const int16_t *patch, int16_t *out) {
    for (int32_t c = 0; c < p->channels; c++) {
        for (int32_t m = 0; m < p->multiplier; m++) {
            int32_t o = c * p->multiplier + m;
            out[o] = tk_output_s16(&p->output, o, one_sum(p, patch, c, o));
        }
    }
}

void tk_depthwise_conv2d_s16(const tk_depthwise_conv2d_s16_params *p, const void *x, void *scratch,
                             void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            pixel(p, tk_patch_s16(&p->window, x, row, column, scratch), codes);
            codes += p->channels * p->multiplier;
        }
    }
}
