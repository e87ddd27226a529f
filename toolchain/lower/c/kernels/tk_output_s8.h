/* tk_output_s8.h - from a channel's sum of products to its int8 code.
 *
 *   code = zero_point + clamp(requantize(sum + bias[c], multiplier[c], shift[c]), low, high)
 *
 * bias               int32, with the input's zero point folded in: bias - zero point * sum of c's weights
 * multiplier, shift  see tk_requantize.h
 * zero_point         of the output;  low, high: the output's range less zero_point
 *
 * Adding the bias wraps at 32 bits. Reentrant; no memory, no libc.
 */
#ifndef TK_OUTPUT_S8_H
#define TK_OUTPUT_S8_H

#include "tk_requantize.h"

typedef struct {
    const int32_t *bias;
    const int32_t *multiplier;
    const int8_t *shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_output_s8_params;

static inline int8_t tk_output_s8(const tk_output_s8_params *p, int32_t channel, int32_t sum) {
    int32_t acc = (int32_t)((uint32_t)sum + (uint32_t)p->bias[channel]);
    return tk_code_s8(tk_requantize(acc, p->multiplier[channel], p->shift[channel]), p->zero_point, p->low,
                      p->high);
}

#endif
