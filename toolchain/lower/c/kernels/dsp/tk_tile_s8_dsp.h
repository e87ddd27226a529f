/* tk_tile_s8_dsp.h - three patches times a block of weights, requantized.
 *
 *   out[i * pitch + c] = code of channel c for patch i     i in 0, 1, 2; c in 0 ... 2 * block->pairs - 1
 *
 * patches  [2 * block->units][3] words: values j and k of each of the three; aligned to 4
 * out      int8; pitch in bytes, at least 2 * pairs; may not overlap patches
 *
 * The arithmetic is tk_block_s8_dsp.h's. A unit, 24 products, takes 17 instructions. Reentrant; no libc.
 */
#ifndef TK_TILE_S8_DSP_H
#define TK_TILE_S8_DSP_H

#include "tk_block_s8_dsp.h"

void tk_tile_s8_dsp(const tk_block_s8_dsp *block, const uint32_t *patches, int8_t *out, int32_t pitch);

#endif
