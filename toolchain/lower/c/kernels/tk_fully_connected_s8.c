#include "tk_fully_connected_s8.h"

void tk_fully_connected_s8(const tk_fully_connected_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        tk_matrix_row_s8(&p->matrix, x, out);
        x += p->matrix.depth;
        out += p->matrix.channels;
    }
}
