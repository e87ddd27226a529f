#include "tk_pool2d_windows_s8_dsp.h"

void tk_pool2d_windows_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window_s8 *window,
                              int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            const tk_pool2d_window at = tk_pool2d_window_at(p, row, column);
            window(p, x + (at.top * p->input_width + at.left) * p->channels, at.bottom - at.top,
                   at.right - at.left, out);
            out += p->channels;
        }
    }
}
