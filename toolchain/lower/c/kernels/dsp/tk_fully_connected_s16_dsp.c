#include "tk_fully_connected_s16_dsp.h"

void tk_fully_connected_s16_dsp(const tk_fully_connected_s16_dsp_params *p, const void *x, void *out) {
    const int32_t depth = p->matrix.depth;
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t left = p->rows; left > 0;) {
        int32_t count = left >= 3 ? 3 : 1;
        const int16_t *const rows[3] = {values, values + (count == 3 ? depth : 0),
                                        values + (count == 3 ? 2 * depth : 0)};
        tk_matrix_s16_dsp(&p->matrix, rows, count, codes);
        values += count * depth;
        codes += count * p->matrix.channels;
        left -= count;
    }
}
