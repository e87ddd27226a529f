#include "tk_fully_connected_any_s8_dsp.h"

#include "tk_any_row_s8_dsp.h"

void tk_fully_connected_any_s8_dsp(const tk_fully_connected_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        tk_any_row_s8_dsp(&p->matrix, x, out);
        x += p->matrix.depth;
        out += p->matrix.channels;
    }
}
