/* tk_output_s8_dsp.h - from a channel's sum of products to its int8 code, in five instructions.
 *
 *   code = saturate(zero_point + requantize(sum, multiplier, -shift))   bit for bit as in tk_requantize.h
 *
 * twice   2 * sum, |sum| < 2^30, the bias in it
 * record  of three words:
 *         multiplier  as tk_requantize.h's
 *         offset      (2 * zero_point + 1) << (shift - 1): half of what the shift divides by, for rounding,
 *                     and the output's zero point before the division. It plus any requantized sum fits 32
 *                     bits
 *         shift       to the right, in [1, 31]
 *
 * SMMLAR is gemmlowp's doubling high multiplication of `sum` with halves rounded up, plus the offset.
 * Rounding halves away from zero takes one off where the product is negative; where the sum is negative and
 * its product 0, that one changes nothing. Reentrant; no memory, no libc.
 */
#ifndef TK_OUTPUT_S8_DSP_H
#define TK_OUTPUT_S8_DSP_H

#include "tk_dsp.h"

static inline int8_t tk_output_s8_dsp(const int32_t record[3], int32_t twice) {
    int32_t moved = tk_smmlar(twice, record[0], record[1]) - (twice < 0);
    return (int8_t)tk_ssat8(moved >> record[2]);
}

#endif
