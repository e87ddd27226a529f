#include "tk_conv2d_s16.h"

void tk_conv2d_s16(const tk_conv2d_s16_params *p, const void *x, void *scratch, void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            tk_matrix_row_s16(&p->matrix, tk_patch_s16(&p->window, x, row, column, scratch), codes);
            codes += p->matrix.channels;
        }
    }
}
