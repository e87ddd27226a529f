#include "tk_fully_connected_s8_scalar.h"

void tk_fully_connected_s8_scalar(const tk_fully_connected_s8_scalar_params *p, const int8_t *x,
                                  int8_t *out) {
    const tk_runs runs = {1, p->depth, p->depth};
    for (int32_t done = 0; done < p->rows; done += 2) {
        const int32_t count = p->rows - done < 2 ? 1 : 2, row = p->backwards ? p->rows - done - count : done;
        const int8_t *from = x + row * p->depth;
        int8_t *to = out + row * p->matrix.channels;
        tk_matrix_s8_scalar(&p->matrix, &runs, from, count == 2 ? from + p->depth : 0, to,
                            to + p->matrix.channels);
    }
}
