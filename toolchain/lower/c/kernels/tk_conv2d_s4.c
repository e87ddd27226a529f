#include "tk_conv2d_s4.h"

void tk_conv2d_s4(const tk_conv2d_s4_params *p, const int8_t *x, int8_t *scratch, int8_t *out) {
    const int32_t channels = p->matrix.channels;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column += 2) {
            const int8_t *first = tk_patch_s8(&p->window, x, row, column, scratch);
            if (column + 1 == p->window.output_width) {
                tk_matrix_row_s4(&p->matrix, first, out);
                out += channels;
            } else {
                tk_matrix_pair_s4(&p->matrix, first,
                                  tk_patch_s8(&p->window, x, row, column + 1, scratch + p->matrix.depth), out,
                                  out + channels);
                out += 2 * channels;
            }
        }
    }
}
