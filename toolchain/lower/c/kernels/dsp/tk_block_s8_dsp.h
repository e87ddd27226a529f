/* tk_block_s8_dsp.h - a constant int8 matrix as the kernels for DSP cores read it: two channels at a time.
 *
 * weight   for each two channels 2 * units words; a word holds the weights a and b of the two channels for
 *          two values j and k of a patch, as signed halves: low 256 * b[j] + a[j], high 256 * b[k] + a[k]
 * output   for each two channels 8 words: 256 * (b's bias) + (a's bias), a's bias, b's multiplier, offset and
 *          shift, a's multiplier, offset and shift; see tk_output_s8_dsp.h
 * units    at least 1
 * pairs    of channels
 *
 * SMLAD of a patch's values with a word adds 256 * b * x + a * x; SXTB16 leaves a, whose SMLAD adds a * x.
 * The sum over b, if it fits 24 bits with its bias, is the difference / 256, in arithmetic that wraps: of two
 * channels one is never unpacked.
 */
#ifndef TK_BLOCK_S8_DSP_H
#define TK_BLOCK_S8_DSP_H

#include "tk_output_s8_dsp.h"

typedef struct {
    const int32_t *weight;
    const int32_t *output;
    uint16_t units;
    uint16_t pairs;
} tk_block_s8_dsp;

/* The codes of pair `pair` for one patch, whose words lie `step` words apart, to out[0] and out[1]. */
static inline void tk_pair_s8_dsp(const tk_block_s8_dsp *block, int32_t pair, const uint32_t *patch,
                                  int32_t step, int8_t *out) {
    const int32_t *weight = block->weight + pair * 2 * block->units, *output = block->output + pair * 8;
    int32_t both = output[0], a = output[1];
    for (int32_t i = 0; i < 2 * block->units; i++) {
        uint32_t word = (uint32_t)weight[i];
        both = tk_smlad(patch[i * step], word, both);
        a = tk_smlad(patch[i * step], tk_sxtb16(word), a);
    }
    out[1] = tk_output_s8_dsp(output + 2, (int32_t)((uint32_t)both - (uint32_t)a) >> 7);
    out[0] = tk_output_s8_dsp(output + 5, (int32_t)((uint32_t)a << 1));
}

#endif
