#include "tk_fully_connected_s8_thumb.h"

void tk_fully_connected_s8_thumb(const tk_fully_connected_s8_thumb_params *p, const int8_t *x, void *scratch,
                                 int8_t *out) {
    const int32_t depth = p->matrix.depth, channels = p->matrix.channels;
    for (int32_t done = 0; done < p->rows; done += 2) {
        const int32_t count = p->rows - done < 2 ? 1 : 2, row = p->backwards ? p->rows - done - count : done;
        const int8_t *from = x + row * depth;
        int8_t *to = out + row * channels;
        tk_matrix_s8_thumb(&p->matrix, from, count == 2 ? from + depth : 0, scratch, to, to + channels);
    }
}
