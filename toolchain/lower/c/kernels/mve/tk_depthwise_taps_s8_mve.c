#include "tk_depthwise_taps_s8_mve.h"

#include "tk_layout_s8_mve.h"
#include "tk_taps_s8_mve.h"

void tk_depthwise_taps_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out) {
    const tk_window_s8_mve *window = &p->window;
    tk_taps_s8_mve_job job = {.stream = p->stream, .out = out, .channels = window->channels,
                              .taps = window->kernel_height * window->kernel_width,
                              .zero_point = p->zero_point, .low = p->low, .high = p->high};
    for (int32_t row = 0; row < window->output_height; row++) {
        for (int32_t column = 0; column < window->output_width; column += window->strip) {
            const int32_t rest = window->output_width - column;
            int32_t count = rest < window->strip ? rest : window->strip, step;
            job.x = tk_layout_s8_mve(window, x, row, column, count, scratch, &step);
            for (; count > 0; count--) {
                tk_taps_s8_mve(&job);
                job.x += step;
                job.out += window->channels;
            }
        }
    }
}
