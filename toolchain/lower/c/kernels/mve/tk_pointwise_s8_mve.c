#include "tk_pointwise_s8_mve.h"

void tk_pointwise_s8_mve(const tk_pointwise_s8_mve_params *p, const int8_t *x, int8_t *out) {
    const int32_t depth = p->matrix.depth, channels = p->matrix.channels;
    tk_rows_s8_mve(&p->matrix, x + p->first * depth, p->step * depth, out + p->first * channels,
                   p->step * channels, p->rows);
}
