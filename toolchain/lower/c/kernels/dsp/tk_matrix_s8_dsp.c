#include "tk_matrix_s8_dsp.h"

#include "tk_row_s8_dsp.h"
#include "tk_tile_s8_dsp.h"

static void pairs(const tk_block_s8_dsp *block, const uint32_t *words, int32_t patches, int8_t *out,
                  int32_t pitch) {
    if (patches == 1) {
        tk_row_s8_dsp(block, words, out);
    } else {
        tk_tile_s8_dsp(block, words, out, pitch);
    }
}

/* The channel after the last pair: of its own pair's codes only the first are kept. */
static void odd_channel(const tk_block_s8_dsp *block, const uint32_t *words, int32_t patches, int8_t *out,
                        int32_t pitch) {
    const tk_block_s8_dsp last = {block->weight + block->pairs * 2 * block->units,
                                  block->output + block->pairs * 8, block->units, 1};
    int8_t codes[6];
    pairs(&last, words, patches, codes, 2);
    for (int32_t i = 0; i < patches; i++) {
        out[i * pitch] = codes[2 * i];
    }
}

void tk_matrix_s8_dsp(const tk_matrix_s8_dsp_params *p, const uint32_t *words, int32_t patches, int8_t *out,
                      int32_t pitch) {
    if (p->block.pairs > 0) {
        pairs(&p->block, words, patches, out, pitch);
    }
    if (p->channels & 1) {
        odd_channel(&p->block, words, patches, out + 2 * p->block.pairs, pitch);
    }
}
