#include "tk_plane_s8_dsp.h"

#include "tk_dsp.h"

void tk_plane_s8_dsp(const tk_planes_s8 *p, const int8_t *x, int32_t rows, int8_t *to) {
    to += 2 * p->column;
    for (int32_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < p->count; i++) {
            tk_put_half(to + 2 * i, (uint32_t)x[i * p->step] << 8);
        }
        x += p->row_step;
        to += p->pitch;
    }
}
