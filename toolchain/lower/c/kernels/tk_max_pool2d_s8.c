#include "tk_max_pool2d_s8.h"

#include <string.h>

static void raise_to(int8_t *out, const int8_t *x, int32_t count, int32_t high) {
    for (int32_t i = 0; i < count; i++) {
        int32_t value = x[i] < high ? x[i] : high;
        out[i] = (int8_t)(value > out[i] ? value : out[i]);
    }
}

static void pixel(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window window, int8_t *out) {
    memset(out, p->low, (size_t)p->channels);
    for (int32_t row = window.top; row < window.bottom; row++) {
        for (int32_t column = window.left; column < window.right; column++) {
            raise_to(out, x + (row * p->input_width + column) * p->channels, p->channels, p->high);
        }
    }
}

void tk_max_pool2d_s8(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            pixel(p, x, tk_pool2d_window_at(p, row, column), out);
            out += p->channels;
        }
    }
}
