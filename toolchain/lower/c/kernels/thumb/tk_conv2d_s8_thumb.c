#include "tk_conv2d_s8_thumb.h"

void tk_conv2d_s8_thumb(const tk_conv2d_s8_thumb_params *p, const int8_t *x, void *scratch, int8_t *out) {
    const int32_t channels = p->matrix.channels;
    int32_t *pairs = scratch;
    int8_t *patches = (int8_t *)(pairs + 2 * p->matrix.steps);
    for (int32_t row = 0; row < p->window.output_height; row++) {
        for (int32_t column = 0; column < p->window.output_width; column += 2) {
            const int8_t *first = tk_patch_s8(&p->window, x, row, column, patches), *second = 0;
            if (column + 1 < p->window.output_width) {
                second = tk_patch_s8(&p->window, x, row, column + 1, patches + p->matrix.depth);
            }
            tk_matrix_s8_thumb(&p->matrix, first, second, pairs, out, out + channels);
            out += second ? 2 * channels : channels;
        }
    }
}
