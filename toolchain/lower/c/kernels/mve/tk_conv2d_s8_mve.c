#include "tk_conv2d_s8_mve.h"

#include "tk_layout_s8_mve.h"

void tk_conv2d_s8_mve(const tk_conv2d_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out) {
    const int32_t width = p->window.output_width, strip = p->window.strip, channels = p->matrix.channels;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < width; column += strip) {
            const int32_t count = width - column < strip ? width - column : strip;
            int32_t step;
            const int8_t *windows = tk_layout_s8_mve(&p->window, x, row, column, count, scratch, &step);
            tk_rows_s8_mve(&p->matrix, windows, step, out, channels, count);
            out += count * channels;
        }
    }
}
