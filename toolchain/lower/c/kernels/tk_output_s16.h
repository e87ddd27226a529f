/* tk_output_s16.h - from a channel's sum of products to its int16 code.
 *
 *   code = clamp(requantize_once(sum + bias[c], multiplier[c], shift[c]), low, high)
 *
 * bias               int64
 * multiplier, shift  see tk_requantize_s16.h
 * low, high          of the output
 *
 * Reentrant; no memory, no libc.
 */
#ifndef TK_OUTPUT_S16_H
#define TK_OUTPUT_S16_H

#include "tk_requantize_s16.h"

typedef struct {
    const int64_t *bias;
    const int16_t *multiplier;
    const int8_t *shift;
    int32_t low;
    int32_t high;
} tk_output_s16_params;

static inline int16_t tk_output_s16(const tk_output_s16_params *p, int32_t channel, int64_t sum) {
    int64_t scaled = tk_requantize_once(sum + p->bias[channel], p->multiplier[channel], p->shift[channel]);
    return tk_code_s16(scaled, p->low, p->high);
}

#endif
