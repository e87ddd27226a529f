/* tk_output_s16_dsp.h - from a channel's sum of products, which began at its bias, to its int16 code.
 *
 *   code = clamp((sum * multiplier[c] / 2^16 + 2^(shift[c] - 1)) / 2^shift[c], low, high)
 *
 * Both divisions round down: what tk_output_s16.h gives with a shift 16 higher, where sums fit 32 bits.
 *
 * bias        int32
 * multiplier  int16, 0 or above
 * shift       [1, 30]
 * low, high   of the output
 *
 * Reentrant; no memory, no libc.
 */
#ifndef TK_OUTPUT_S16_DSP_H
#define TK_OUTPUT_S16_DSP_H

#include "tk_dsp.h"

typedef struct {
    const int32_t *bias;
    const int16_t *multiplier;
    const int8_t *shift;
    int16_t low;
    int16_t high;
} tk_output_s16_dsp_params;

/* Channel c's codes of `count` sums, `step` codes apart. */
static inline void tk_output_s16_dsp(const tk_output_s16_dsp_params *p, int32_t c, const int32_t *sums,
                                     int32_t count, int16_t *out, int32_t step) {
    const int32_t multiplier = p->multiplier[c], shift = p->shift[c], low = p->low, high = p->high;
    for (int32_t i = 0; i < count; i++, out += step) {
        const int32_t code = tk_smlawb(sums[i], (uint32_t)multiplier, 1 << (shift - 1)) >> shift;
        *out = (int16_t)(code < low ? low : code > high ? high : code);
    }
}

#endif
