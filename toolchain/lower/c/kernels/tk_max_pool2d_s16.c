#include "tk_max_pool2d_s16.h"

#include "tk_requantize_s16.h"

static int16_t largest(const tk_pool2d_s8_params *p, const int16_t *x, tk_pool2d_window window,
                       int32_t channel) {
    int32_t best = p->low;
    for (int32_t row = window.top; row < window.bottom; row++) {
        for (int32_t column = window.left; column < window.right; column++) {
            int32_t code = x[(row * p->input_width + column) * p->channels + channel];
            best = code > best ? code : best;
        }
    }
    return tk_code_s16(best, p->low, p->high);
}

void tk_max_pool2d_s16(const tk_pool2d_s8_params *p, const void *x, void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            const tk_pool2d_window window = tk_pool2d_window_at(p, row, column);
            for (int32_t channel = 0; channel < p->channels; channel++) {
                *codes++ = largest(p, x, window, channel);
            }
        }
    }
}
