#include "tk_widen_row_s8_dsp.h"

#include "tk_dsp.h"

uint32_t *tk_widen_row_s8_dsp(const int8_t *x, int32_t bytes, uint32_t *words, int32_t step) {
    for (; bytes >= 4; bytes -= 4, x += 4) {
        uint32_t four = tk_word(x);
        *words = tk_sxtb16(four);
        words += step;
        *words = tk_sxtb16_odd(four);
        words += step;
    }
    if (bytes & 2) {
        uint32_t two = tk_half(x);
        *words = tk_sxtb16(two | two << 8);
        words += step;
        x += 2;
    }
    if (bytes & 1) {
        *words = (uint32_t)*x;
        words += step;
    }
    return words;
}
