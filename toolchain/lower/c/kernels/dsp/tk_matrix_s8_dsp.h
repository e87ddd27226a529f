/* tk_matrix_s8_dsp.h - three patches times a constant int8 matrix, requantized.
 *
 *   out[i * pitch + c] = code of channel c for patch i     i in 0, 1, 2; c in 0 ... channels - 1
 *
 * words      as tk_tile_s8_dsp.h takes them; aligned to 4
 * out        int8; pitch in bytes, at least `channels`; may not overlap words. With a pitch of 0 the patches
 *            have to be the same
 * block      channels / 2 pairs; where channels are odd, one pair more lies behind them: the last channel and
 *            one of zeros
 * low, high  codes that outputs are cut to, by tk_clamp_s8_dsp.h
 *
 * The arithmetic is tk_block_s8_dsp.h's. Reentrant; no libc.
 */
#ifndef TK_MATRIX_S8_DSP_H
#define TK_MATRIX_S8_DSP_H

#include "tk_block_s8_dsp.h"

typedef struct {
    tk_block_s8_dsp block;
    uint16_t channels;
    int8_t low;
    int8_t high;
} tk_matrix_s8_dsp_params;

void tk_matrix_s8_dsp(const tk_matrix_s8_dsp_params *p, const uint32_t *words, int8_t *out, int32_t pitch);

/* The pair of the last of an odd number of channels. */
static inline tk_block_s8_dsp tk_last_pair_s8_dsp(const tk_block_s8_dsp *block) {
    const tk_block_s8_dsp last = {block->weight + block->pairs * 2 * block->units,
                                  block->output + block->pairs * 8, block->units, 1};
    return last;
}

#endif
