#include "tk_depthwise_conv2d_s8_scalar.h"

static void one_row(const tk_depthwise_s8_scalar_params *p, tk_band_s8_scalar under, int32_t c, int8_t *out) {
    const int32_t channels = p->window.channels, stride = p->window.stride_width;
    const int32_t right = p->window.dilation_width, taps = p->window.kernel_height * p->window.kernel_width;
    for (int32_t left = p->window.output_width; left > 0; left -= 4) {
        const int32_t column = p->window.output_width - left;
        const int8_t *w = p->weight + c * taps;
        int32_t a0 = p->output.bias[c], a1 = a0, a2 = a0, a3 = a0;
        for (int32_t tap = 0; tap < p->window.kernel_height; tap++) {
            const int8_t *x = tk_line_s8_scalar(p, under, tap) + column * stride;
            for (const int8_t *const end = w + p->window.kernel_width; w != end; x += right) {
                const int32_t value = *w++;
                a0 += x[0] * value;
                a1 += x[stride] * value;
                a2 += x[2 * stride] * value;
                a3 += x[3 * stride] * value;
            }
        }
        const int32_t sums[4] = {a0, a1, a2, a3};
        tk_depthwise_put_s8_scalar(p, c, sums, left < 4 ? left : 4, out);
        out += 4 * channels;
    }
}

void tk_depthwise_conv2d_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int8_t *scratch,
                                   int8_t *out) {
    tk_depthwise_rows_s8_scalar(p, x, scratch, out, one_row);
}
