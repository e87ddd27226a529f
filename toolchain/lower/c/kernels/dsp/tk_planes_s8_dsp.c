#include "tk_planes_s8_dsp.h"

#include "tk_dsp.h"

static void one_pixel(const int8_t *x, int8_t *to, int32_t plane) {
    for (int32_t i = 0; i < 4; i++) {
        tk_put_half(to + i * plane, (uint32_t)x[i] << 8);
    }
}

void tk_planes_s8_dsp(const int8_t *x, int32_t step, int32_t count, int8_t *to, int32_t column,
                      int32_t plane) {
    to += 2 * column;
    if (column & 1 && count > 0) {
        one_pixel(x, to, plane);
        x += step;
        to += 2;
        count--;
    }
    int8_t *last = to + 3 * plane;
    const uint32_t odd_bytes = tk_kept(0xff00ff00u);
    for (; count >= 2; count -= 2) {
        const uint32_t a = tk_word(x), b = tk_word(x + step);
        const uint32_t low = tk_low_halves(a, b), high = tk_high_halves(a, b);
        tk_put_word(to, low << 8 & odd_bytes);
        tk_put_word(to + plane, low & odd_bytes);
        tk_put_word(to + 2 * plane, high << 8 & odd_bytes);
        tk_put_word(last, high & odd_bytes);
        x += 2 * step;
        to += 4;
        last += 4;
    }
    if (count > 0) {
        one_pixel(x, to, plane);
    }
}
