#include "tk_conv2d_any_s8_dsp.h"

#include "tk_any_row_s8_dsp.h"

void tk_conv2d_any_s8_dsp(const tk_conv2d_s8_params *p, const int8_t *x, int8_t *scratch, int8_t *out) {
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column++) {
            tk_any_row_s8_dsp(&p->matrix, tk_patch_s8(&p->window, x, row, column, scratch), out);
            out += p->matrix.channels;
        }
    }
}
