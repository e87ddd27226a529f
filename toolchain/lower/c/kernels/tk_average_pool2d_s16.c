#include "tk_average_pool2d_s16.h"

#include "tk_requantize_s16.h"

static int32_t window_sum(const tk_pool2d_s8_params *p, const int16_t *x, tk_pool2d_window window,
                          int32_t channel) {
    int32_t sum = 0;
    for (int32_t row = window.top; row < window.bottom; row++) {
        for (int32_t column = window.left; column < window.right; column++) {
            sum += x[(row * p->input_width + column) * p->channels + channel];
        }
    }
    return sum;
}

static void pixel(const tk_pool2d_s8_params *p, const int16_t *x, tk_pool2d_window window, int16_t *out) {
    const int32_t count = (window.bottom - window.top) * (window.right - window.left);
    for (int32_t channel = 0; channel < p->channels; channel++) {
        int32_t sum = window_sum(p, x, window, channel);
        int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
        out[channel] = tk_code_s16(mean, p->low, p->high);
    }
}

void tk_average_pool2d_s16(const tk_pool2d_s8_params *p, const void *x, void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            pixel(p, x, tk_pool2d_window_at(p, row, column), codes);
            codes += p->channels;
        }
    }
}
