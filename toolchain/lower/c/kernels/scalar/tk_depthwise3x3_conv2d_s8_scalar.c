#include "tk_depthwise3x3_conv2d_s8_scalar.h"

/* Three taps of one line in four windows that are `s` apart. */
#define THREE_TAPS(s)                                                                           \
    do {                                                                                        \
        a0 += line[0] * w0, a0 += line[1] * w1, a0 += line[2] * w2;                             \
        a1 += line[(s)] * w0, a1 += line[(s) + 1] * w1, a1 += line[(s) + 2] * w2;               \
        a2 += line[2 * (s)] * w0, a2 += line[2 * (s) + 1] * w1, a2 += line[2 * (s) + 2] * w2;   \
        a3 += line[3 * (s)] * w0, a3 += line[3 * (s) + 1] * w1, a3 += line[3 * (s) + 2] * w2;   \
    } while (0)

static void one_row(const tk_depthwise_s8_scalar_params *p, tk_band_s8_scalar under, int32_t c, int8_t *out) {
    const int32_t stride = p->window.stride_width, bias = p->output.bias[c], fours = 4 * p->window.channels;
    const int8_t *lines[3] = {tk_line_s8_scalar(p, under, 0), tk_line_s8_scalar(p, under, 1),
                              tk_line_s8_scalar(p, under, 2)};
    for (int32_t left = p->window.output_width; left > 0; left -= 4, out += fours) {
        const int8_t *w = p->weight + 9 * c;
        int32_t a0 = bias, a1 = bias, a2 = bias, a3 = bias;
        for (const int8_t **from = lines; from != lines + 3; from++, w += 3) {
            const int8_t *const line = *from;
            const int32_t w0 = w[0], w1 = w[1], w2 = w[2];
            *from = line + 4 * stride;
            if (left == 1) {
                a0 += line[0] * w0, a0 += line[1] * w1, a0 += line[2] * w2;
            } else if (stride == 1) {
                THREE_TAPS(1);
            } else {
                THREE_TAPS(2);
            }
        }
        const int32_t sums[4] = {a0, a1, a2, a3};
        tk_depthwise_put_s8_scalar(p, c, sums, left < 4 ? left : 4, out);
    }
}

void tk_depthwise3x3_conv2d_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x,
                                      int8_t *scratch, int8_t *out) {
    tk_depthwise_rows_s8_scalar(p, x, scratch, out, one_row);
}
