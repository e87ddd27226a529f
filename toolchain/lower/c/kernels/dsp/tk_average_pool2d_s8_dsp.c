#include "tk_average_pool2d_s8_dsp.h"

#include "tk_pixel_sums_s8_dsp.h"

/* The window's pixels; rows that follow each other are one. */
typedef struct {
    const int8_t *x;
    int32_t rows;
    int32_t columns;
    int32_t pitch;
    int32_t step;
} pixels;

static pixels pixels_of(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window window) {
    pixels at = {
        .x = x + (window.top * p->input_width + window.left) * p->channels,
        .rows = window.bottom - window.top,
        .columns = window.right - window.left,
        .pitch = p->input_width * p->channels,
        .step = p->channels,
    };
    if (at.columns == p->input_width) {
        at.columns *= at.rows;
        at.rows = 1;
    }
    return at;
}

static int8_t mean(const tk_pool2d_s8_params *p, int32_t sum, int32_t count) {
    const int32_t code = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
    return (int8_t)(code < p->low ? p->low : code > p->high ? p->high : code);
}

static void four_means(const tk_pool2d_s8_params *p, const pixels *at, int32_t channel, int8_t *out) {
    tk_pixel_sums_s8 sums = {0, 0};
    const int8_t *x = at->x + channel;
    for (int32_t row = 0; row < at->rows; row++, x += at->pitch) {
        sums = tk_pixel_sums_s8_dsp(sums, x, at->step, at->columns);
    }
    for (int32_t i = 0; i < 4; i++) {
        out[channel + i] = mean(p, tk_pixel_sum_s8(sums, i), at->rows * at->columns);
    }
}

static void one_mean(const tk_pool2d_s8_params *p, const pixels *at, int32_t channel, int8_t *out) {
    int32_t sum = 0;
    for (int32_t row = 0; row < at->rows; row++) {
        const int8_t *x = at->x + row * at->pitch + channel;
        for (int32_t i = at->columns; i > 0; i--, x += at->step) {
            sum += *x;
        }
    }
    out[channel] = mean(p, sum, at->rows * at->columns);
}

void tk_average_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            const pixels at = pixels_of(p, x, tk_pool2d_window_at(p, row, column));
            int32_t channel = 0;
            for (; channel + 4 <= p->channels; channel += 4) {
                four_means(p, &at, channel, out);
            }
            for (; channel < p->channels; channel++) {
                one_mean(p, &at, channel, out);
            }
            out += p->channels;
        }
    }
}
