#include "tk_fully_connected_row_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_row_s8_dsp.h"
#include "tk_widen_row_s8_dsp.h"

void tk_fully_connected_row_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                                   int8_t *out) {
    const tk_matrix_s8_dsp_params *matrix = &p->matrix;
    for (int32_t row = 0; row < p->rows; row++) {
        int8_t *to = out + row * matrix->channels, codes[2];
        tk_widen_row_s8_dsp(x + row * p->depth, p->depth, scratch, 1);
        if (matrix->block.pairs > 0) {
            tk_row_s8_dsp(&matrix->block, scratch, to);
        }
        if (matrix->channels & 1) { /* of the last pair's codes only the first is kept */
            const tk_block_s8_dsp last = tk_last_pair_s8_dsp(&matrix->block);
            tk_row_s8_dsp(&last, scratch, codes);
            to[matrix->channels - 1] = codes[0];
        }
    }
    tk_clamp_s8_dsp(out, p->rows * matrix->channels, matrix->low, matrix->high);
}
