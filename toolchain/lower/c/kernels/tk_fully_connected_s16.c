#include "tk_fully_connected_s16.h"

void tk_fully_connected_s16(const tk_fully_connected_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t row = 0; row < p->rows; row++) {
        tk_matrix_row_s16(&p->matrix, values, codes);
        values += p->matrix.depth;
        codes += p->matrix.channels;
    }
}
