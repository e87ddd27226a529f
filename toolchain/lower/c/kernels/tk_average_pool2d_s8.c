#include "tk_average_pool2d_s8.h"

#include "tk_requantize.h"

static int32_t window_sum(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window window,
                          int32_t channel) {
    int32_t sum = 0;
    for (int32_t row = window.top; row < window.bottom; row++) {
        const int8_t *from = x + (row * p->input_width + window.left) * p->channels + channel;
        for (int32_t column = window.left; column < window.right; column++) {
            sum += *from;
            from += p->channels;
        }
    }
    return sum;
}

static void pixel(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window window, int8_t *out) {
    const int32_t count = (window.bottom - window.top) * (window.right - window.left);
    for (int32_t channel = 0; channel < p->channels; channel++) {
        int32_t sum = window_sum(p, x, window, channel);
        int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
        out[channel] = tk_code_s8(mean, 0, p->low, p->high);
    }
}

void tk_average_pool2d_s8(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            pixel(p, x, tk_pool2d_window_at(p, row, column), out);
            out += p->channels;
        }
    }
}
