#include "tk_matrix_s8_dsp.h"

#include "tk_tile_s8_dsp.h"

void tk_matrix_s8_dsp(const tk_matrix_s8_dsp_params *p, const uint32_t *words, int8_t *out, int32_t pitch) {
    if (p->block.pairs > 0) {
        tk_tile_s8_dsp(&p->block, words, out, pitch);
    }
    if (p->channels & 1) { /* of the last pair's codes only the first are kept */
        const tk_block_s8_dsp last = tk_last_pair_s8_dsp(&p->block);
        int8_t codes[6];
        tk_tile_s8_dsp(&last, words, codes, 2);
        out += p->channels - 1;
        for (int32_t i = 0; i < 6; i += 2, out += pitch) {
            *out = codes[i];
        }
    }
}
