#include "tk_max_pool2d_s8_dsp.h"

#include "tk_dsp.h"
#include "tk_pool2d_windows_s8_dsp.h"

/* The code in all four bytes. */
static uint32_t four_times(int32_t code) { return ((uint32_t)code & 0xffu) * 0x01010101u; }

static void largest(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns,
                    int8_t *out) {
    const int32_t step = p->channels, next_row = (p->input_width - columns) * step;
    const uint32_t low = four_times(p->low), high = four_times(p->high);
    for (int32_t done = 0; done < step; done += 4) {
        const int32_t channel = tk_pool2d_four_s8(step, done);
        const int8_t *from = x + channel;
        uint32_t best = low;
        for (int32_t left = rows; left > 0; left--, from += next_row) {
            for (int32_t i = columns; i > 0; i--, from += step) {
                best = tk_max_s8x4(best, tk_word(from));
            }
        }
        tk_put_word(out + channel, tk_min_s8x4(best, high));
    }
}

void tk_max_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    tk_pool2d_windows_s8_dsp(p, x, largest, out);
}
