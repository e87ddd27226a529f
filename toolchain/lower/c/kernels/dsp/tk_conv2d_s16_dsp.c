#include "tk_conv2d_s16_dsp.h"

void tk_conv2d_s16_dsp(const tk_conv2d_s16_dsp_params *p, const void *x, void *scratch, void *out) {
    const int32_t width = p->window.output_width, pixels = p->window.output_height * width;
    int16_t *patches = scratch, *codes = out;
    for (int32_t first = 0; first < pixels;) {
        int32_t count = pixels - first >= 3 ? 3 : 1;
        const int16_t *rows[3];
        for (int32_t i = 0; i < count; i++) {
            rows[i] = tk_patch_s16(&p->window, x, (first + i) / width, (first + i) % width,
                                   patches + i * p->matrix.depth);
        }
        tk_matrix_s16_dsp(&p->matrix, rows, count, codes);
        codes += count * p->matrix.channels;
        first += count;
    }
}
