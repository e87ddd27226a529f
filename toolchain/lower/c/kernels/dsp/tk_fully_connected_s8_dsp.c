#include "tk_fully_connected_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_widen_tile_s8_dsp.h"

void tk_fully_connected_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                               int8_t *out) {
    const int32_t step = p->rows < 3 ? 1 : 3, last = p->rows - step;
    const int32_t depth = step == 3 ? p->depth : 0, pitch = step == 3 ? p->matrix.channels : 0;
    for (int32_t done = 0; done < p->rows; done += step) {
        const int32_t next = done < last ? done : last, first = p->backwards ? last - next : next;
        const int8_t *row = x + first * p->depth, *const three[3] = {row, row + depth, row + 2 * depth};
        tk_widen_tile_s8_dsp(three, p->depth, scratch, 1, 0);
        tk_matrix_s8_dsp(&p->matrix, scratch, out + first * p->matrix.channels, pitch);
    }
    tk_clamp_s8_dsp(out, p->rows * p->matrix.channels, p->matrix.low, p->matrix.high);
}
