#include "tk_fully_connected_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_widen_row_s8_dsp.h"
#include "tk_widen_tile_s8_dsp.h"

void tk_fully_connected_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                               int8_t *out) {
    const int32_t pitch = p->matrix.channels;
    for (int32_t left = p->rows; left > 0;) {
        int32_t count = left >= 3 ? 3 : 1, first = p->backwards ? left - count : p->rows - left;
        const int8_t *rows = x + first * p->depth;
        if (count == 3) {
            const int8_t *const three[3] = {rows, rows + p->depth, rows + 2 * p->depth};
            tk_widen_tile_s8_dsp(three, p->depth, scratch);
        } else {
            tk_widen_row_s8_dsp(rows, p->depth, scratch, 1);
        }
        tk_matrix_s8_dsp(&p->matrix, scratch, count, out + first * pitch, pitch);
        left -= count;
    }
    tk_clamp_s8_dsp(out, p->rows * pitch, p->low, p->high);
}
