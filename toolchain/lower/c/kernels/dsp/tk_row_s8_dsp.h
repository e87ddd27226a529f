/* tk_row_s8_dsp.h - one patch times a block of weights, requantized.
 *
 *   out[c] = code of channel c     c in 0 ... 2 * block->pairs - 1
 *
 * patch  [2 * block->units] words: values j and k of the patch; aligned to 4
 * out    int8; may not overlap patch
 *
 * The arithmetic is tk_block_s8_dsp.h's. Two units, 16 products, take 14 instructions. Reentrant; no libc.
 */
#ifndef TK_ROW_S8_DSP_H
#define TK_ROW_S8_DSP_H

#include "tk_block_s8_dsp.h"

void tk_row_s8_dsp(const tk_block_s8_dsp *block, const uint32_t *patch, int8_t *out);

#endif
