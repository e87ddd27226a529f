#include "tk_depthwise_multiplier_conv2d_s8.h"

static int32_t one_sum(const tk_depthwise_multiplier_conv2d_s8_params *p, const int8_t *patch, int32_t c,
                       int32_t o) {
    const int32_t channels = p->window.channels, taps = p->window.kernel_height * p->window.kernel_width;
    const int8_t *x = patch + c, *w = p->weight + o;
    int32_t sum = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        sum += *x * *w;
        x += channels;
        w += channels * p->multiplier;
    }
    return sum;
}

static void pixel(const tk_depthwise_multiplier_conv2d_s8_params *p, const int8_t *patch, int8_t *out) {
    for (int32_t c = 0; c < p->window.channels; c++) {
        for (int32_t m = 0; m < p->multiplier; m++) {
            int32_t o = c * p->multiplier + m;
            out[o] = tk_output_s8(&p->output, o, one_sum(p, patch, c, o));
        }
    }
}

void tk_depthwise_multiplier_conv2d_s8(const tk_depthwise_multiplier_conv2d_s8_params *p, const int8_t *x,
                                       int8_t *scratch, int8_t *out) {
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            pixel(p, tk_patch_s8(&p->window, x, row, column, scratch), out);
            out += p->window.channels * p->multiplier;
        }
    }
}
