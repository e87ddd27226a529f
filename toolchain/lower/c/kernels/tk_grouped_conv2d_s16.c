#include "tk_grouped_conv2d_s16.h"

static int64_t one_sum(const tk_grouped_conv2d_s16_params *p, const int16_t *x, int32_t o) {
    const int32_t taps = p->window.kernel_height * p->window.kernel_width;
    const int8_t *w = p->weight + o * taps * p->depth;
    int64_t sum = 0;
    for (int32_t tap = 0; tap < taps; tap++) {
        for (int32_t i = 0; i < p->depth; i++) {
            sum += x[i] * *w++;
        }
        x += p->groups * p->depth;
    }
    return sum;
}

static void pixel(const tk_grouped_conv2d_s16_params *p, const int16_t *patch, int16_t *out) {
    for (int32_t o = 0; o < p->groups * p->outputs; o++) {
        out[o] = tk_output_s16(&p->output, o, one_sum(p, patch + o / p->outputs * p->depth, o));
    }
}

void tk_grouped_conv2d_s16(const tk_grouped_conv2d_s16_params *p, const void *x, void *scratch, void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            pixel(p, tk_patch_s16(&p->window, x, row, column, scratch), codes);
            codes += p->groups * p->outputs;
        }
    }
}
