/* tk_matrix_s8_dsp.h - one or three patches times a constant int8 matrix, requantized.
 *
 *   out[i * pitch + c] = code of channel c for patch i     c in 0 ... channels - 1
 *
 * words    one patch as tk_row_s8_dsp.h takes it, or three as tk_tile_s8_dsp.h does; aligned to 4
 * patches  1 or 3
 * out      int8; pitch in bytes, at least `channels`; may not overlap words
 * block    channels / 2 pairs; where channels are odd, one pair more lies behind them: the last channel and
 *          one of zeros
 *
 * The arithmetic is tk_block_s8_dsp.h's. Reentrant; no libc.
 */
#ifndef TK_MATRIX_S8_DSP_H
#define TK_MATRIX_S8_DSP_H

#include "tk_block_s8_dsp.h"

typedef struct {
    int32_t channels;
    tk_block_s8_dsp block;
} tk_matrix_s8_dsp_params;

void tk_matrix_s8_dsp(const tk_matrix_s8_dsp_params *p, const uint32_t *words, int32_t patches, int8_t *out,
                      int32_t pitch);

#endif
