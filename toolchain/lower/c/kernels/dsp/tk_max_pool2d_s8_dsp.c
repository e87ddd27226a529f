#include "tk_max_pool2d_s8_dsp.h"

#include "tk_dsp.h"

/* The code in all four bytes. */
static uint32_t four_times(int32_t code) { return ((uint32_t)code & 0xffu) * 0x01010101u; }

static uint32_t four_largest(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns) {
    const int32_t step = p->channels, next_row = (p->input_width - columns) * step;
    uint32_t best = four_times(p->low);
    for (; rows > 0; rows--) {
        for (int32_t i = columns; i > 0; i--) {
            best = tk_max_s8x4(best, tk_word(x));
            x += step;
        }
        x += next_row;
    }
    return tk_min_s8x4(best, four_times(p->high));
}

static int8_t one_largest(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns) {
    int32_t best = p->low;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < columns; i++) {
            int32_t code = x[(row * p->input_width + i) * p->channels];
            best = code > best ? code : best;
        }
    }
    return (int8_t)(best < p->high ? best : p->high);
}

static void pixel(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns, int8_t *out) {
    int32_t channel = 0;
    for (; channel + 4 <= p->channels; channel += 4) {
        tk_put_word(out + channel, four_largest(p, x + channel, rows, columns));
    }
    for (; channel < p->channels; channel++) {
        out[channel] = one_largest(p, x + channel, rows, columns);
    }
}

void tk_max_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            const tk_pool2d_window at = tk_pool2d_window_at(p, row, column);
            pixel(p, x + (at.top * p->input_width + at.left) * p->channels, at.bottom - at.top,
                  at.right - at.left, out);
            out += p->channels;
        }
    }
}
