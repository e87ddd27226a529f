#include "tk_fully_connected_s4.h"

void tk_fully_connected_s4(const tk_fully_connected_s4_params *p, const int8_t *x, int8_t *out) {
    const int32_t depth = p->matrix.depth, channels = p->matrix.channels;
    int32_t left = p->rows;
    for (; left > 1; left -= 2) {
        tk_matrix_pair_s4(&p->matrix, x, x + depth, out, out + channels);
        x += 2 * depth;
        out += 2 * channels;
    }
    if (left == 1) {
        tk_matrix_row_s4(&p->matrix, x, out);
    }
}
