#include "tk_clamp_s8_dsp.h"

#include "tk_dsp.h"

void tk_clamp_s8_dsp(int8_t *codes, int32_t count, int32_t low, int32_t high) {
    const uint32_t lows = ((uint32_t)low & 0xffu) * 0x01010101u;
    const uint32_t highs = ((uint32_t)high & 0xffu) * 0x01010101u;
    if (low == -128 && high == 127) {
        return;
    }
    for (; count >= 4; count -= 4, codes += 4) {
        tk_put_word(codes, tk_min_s8x4(tk_max_s8x4(tk_word(codes), lows), highs));
    }
    for (; count > 0; count--, codes++) {
        *codes = (int8_t)(*codes < low ? low : *codes > high ? high : *codes);
    }
}
