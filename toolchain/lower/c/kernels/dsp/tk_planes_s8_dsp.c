#include "tk_planes_s8_dsp.h"

#include "tk_dsp.h"

/* Two pixels' codes of four channels; odd_bytes: a mask of them. */
static inline void put_pair(uint32_t a, uint32_t b, uint32_t odd_bytes, int32_t plane, int8_t *to) {
    const uint32_t low = tk_low_halves(a, b), high = tk_high_halves(a, b);
    tk_put_word(to, low << 8 & odd_bytes);
    tk_put_word(to + plane, low & odd_bytes);
    tk_put_word(to + 2 * plane, high << 8 & odd_bytes);
    tk_put_word(to + 3 * plane, high & odd_bytes);
}

void tk_planes_s8_dsp(const tk_planes_s8 *p, const int8_t *x, int32_t rows, int8_t *to) {
    const uint32_t odd_bytes = tk_kept(0xff00ff00u);
    const int32_t plane = p->plane, step = p->step, odd = p->column & 1, pairs = (p->count - odd) / 2;
    const int32_t next_x = p->row_step - (2 * pairs + odd) * step, next_row = p->pitch - 4 * (pairs + odd);
    to += 2 * (p->column - odd);
    for (; rows > 0; rows--) {
        if (odd) {
            put_pair(p->padding, tk_word(x), odd_bytes, plane, to);
            x += step;
            to += 4;
        }
        for (int32_t i = pairs; i > 0; i--) {
            put_pair(tk_word(x), tk_word(x + step), odd_bytes, plane, to);
            x += 2 * step;
            to += 4;
        }
        if ((p->count - odd) & 1) {
            put_pair(tk_word(x), p->padding, odd_bytes, plane, to);
        }
        x += next_x;
        to += next_row;
    }
}
