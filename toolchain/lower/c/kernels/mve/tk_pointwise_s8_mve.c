#include "tk_pointwise_s8_mve.h"

void tk_pointwise_s8_mve(const tk_pointwise_s8_mve_params *p, const int8_t *x, int8_t *out) {
    const int32_t first = p->backwards ? p->rows - 1 : 0, step = p->backwards ? -1 : 1;
    tk_rows_s8_mve(&p->matrix, x + first * p->matrix.depth, step * p->matrix.depth,
                   out + first * p->matrix.channels, step * p->matrix.channels, p->rows);
}
