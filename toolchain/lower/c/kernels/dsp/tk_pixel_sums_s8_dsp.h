/* tk_pixel_sums_s8_dsp.h - sums of four channels over pixels, in halves of two words.
 *
 * x      `count` pixels, `step` bytes from one to the next; four int8 each, at any address
 * even   what channels 0 and 2 are added to, odd: channels 1 and 3. Halves hold 256 codes, not more
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_PIXEL_SUMS_S8_DSP_H
#define TK_PIXEL_SUMS_S8_DSP_H

#include "tk_dsp.h"

#define TK_PIXEL_SUMS_MOST 256

typedef struct {
    uint32_t even;
    uint32_t odd;
} tk_pixel_sums_s8;

static inline tk_pixel_sums_s8 tk_pixel_sums_s8_dsp(tk_pixel_sums_s8 sums, const int8_t *x, int32_t step,
                                                    int32_t count) {
    for (; count > 0; count--) {
        const uint32_t codes = tk_word(x);
        sums.even = tk_sxtab16(sums.even, codes);
        sums.odd = tk_sxtab16_odd(sums.odd, codes);
        x += step;
    }
    return sums;
}

/* Channel `number`'s. */
static inline int32_t tk_pixel_sum_s8(tk_pixel_sums_s8 sums, int32_t number) {
    const uint32_t pair = number & 1 ? sums.odd : sums.even;
    return number & 2 ? tk_high(pair) : tk_low(pair);
}

#endif
