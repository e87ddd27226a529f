#include "tk_gather_row_s8_dsp.h"

#include "tk_dsp.h"

void tk_gather_row_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t y, int32_t left,
                          int8_t *run) {
    const int32_t width = y >= 0 && y < p->input_height ? p->input_width : 0;
    for (int32_t tap = 0; tap < p->kernel_width; tap++, left += p->dilation_width) {
        const int32_t inside = left >= 0 && left < width;
        const int8_t *from = inside ? x + (y * width + left) * p->channels : p->padding;
        int32_t bytes = p->depth;
        for (; bytes >= 4; bytes -= 4, run += 4, from += 4 * inside) {
            tk_put_word(run, tk_word(from));
        }
        for (; bytes > 0; bytes--, from += inside) {
            *run++ = *from;
        }
    }
}
