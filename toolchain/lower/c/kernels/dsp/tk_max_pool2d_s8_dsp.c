#include "tk_max_pool2d_s8_dsp.h"

#include "tk_dsp.h"

/* The code in all four bytes. */
static uint32_t four_times(int32_t code) { return ((uint32_t)code & 0xffu) * 0x01010101u; }

static void four_largest(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns,
                         int8_t *out) {
    const int32_t step = p->channels, next_row = (p->input_width - columns) * step;
    uint32_t best = four_times(p->low);
    for (; rows > 0; rows--) {
        for (int32_t i = columns; i > 0; i--) {
            best = tk_max_s8x4(best, tk_word(x));
            x += step;
        }
        x += next_row;
    }
    tk_put_word(out, tk_min_s8x4(best, four_times(p->high)));
}

void tk_max_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    tk_pool2d_four_s8_dsp(p, x, four_largest, out);
}
