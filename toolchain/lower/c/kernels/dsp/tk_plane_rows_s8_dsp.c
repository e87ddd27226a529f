#include "tk_plane_rows_s8_dsp.h"

#include "tk_dsp.h"

void tk_plane_rows_s8_dsp(const tk_planes_s8 *p, int8_t *planes, int32_t to, int32_t rows, int32_t from) {
    const uint32_t padding = p->padding & 0xff00ff00u;
    const int32_t distance = (from - to) * p->pitch, size = rows * p->pitch, step = from < 0 ? 0 : 4;
    planes += to * p->pitch;
    for (int32_t plane = 0; plane < 4; plane++) {
        const int8_t *word = from < 0 ? (const void *)&padding : planes + distance;
        for (int32_t i = 0; i < size; i += 4) {
            tk_put_word(planes + i, tk_word(word));
            word += step;
        }
        planes += p->plane;
    }
}
