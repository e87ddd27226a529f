#include "tk_depthwise3x3_conv2d_s8_scalar.h"

/* Three taps of one line in four windows that are `s` apart. */
#define THREE_TAPS(s, line)                                                                    \
    do {                                                                                       \
        const int32_t w0 = w[0], w1 = w[1], w2 = w[2];                                         \
        a0 += (line)[0] * w0, a0 += (line)[1] * w1, a0 += (line)[2] * w2;                      \
        a1 += (line)[(s)] * w0, a1 += (line)[(s) + 1] * w1, a1 += (line)[(s) + 2] * w2;        \
        a2 += (line)[2 * (s)] * w0, a2 += (line)[2 * (s) + 1] * w1, a2 += (line)[2 * (s) + 2] * w2; \
        a3 += (line)[3 * (s)] * w0, a3 += (line)[3 * (s) + 1] * w1, a3 += (line)[3 * (s) + 2] * w2; \
        w += 3;                                                                                \
    } while (0)

static int32_t nine_taps(const int8_t *top, const int8_t *middle, const int8_t *bottom, const int8_t *w,
                         int32_t sum) {
    sum += top[0] * w[0], sum += top[1] * w[1], sum += top[2] * w[2];
    sum += middle[0] * w[3], sum += middle[1] * w[4], sum += middle[2] * w[5];
    sum += bottom[0] * w[6], sum += bottom[1] * w[7], sum += bottom[2] * w[8];
    return sum;
}

static void one_row(const tk_depthwise_s8_scalar_params *p, tk_band_s8_scalar under, int32_t c, int8_t *out) {
    const int32_t channels = p->window.channels, stride = p->window.stride_width, bias = p->output.bias[c];
    const int8_t *top = tk_line_s8_scalar(p, under, 0), *middle = tk_line_s8_scalar(p, under, 1);
    const int8_t *bottom = tk_line_s8_scalar(p, under, 2);
    int32_t left = p->window.output_width;
    for (; left > 1; left -= 4) {
        const int8_t *w = p->weight + 9 * c;
        int32_t a0 = bias, a1 = bias, a2 = bias, a3 = bias;
        if (stride == 1) {
            THREE_TAPS(1, top);
            THREE_TAPS(1, middle);
            THREE_TAPS(1, bottom);
        } else {
            THREE_TAPS(2, top);
            THREE_TAPS(2, middle);
            THREE_TAPS(2, bottom);
        }
        const int32_t sums[4] = {a0, a1, a2, a3};
        tk_depthwise_put_s8_scalar(p, c, sums, left < 4 ? left : 4, out);
        top += 4 * stride, middle += 4 * stride, bottom += 4 * stride, out += 4 * channels;
    }
    if (left == 1) {
        const int32_t sum = nine_taps(top, middle, bottom, p->weight + 9 * c, bias);
        tk_depthwise_put_s8_scalar(p, c, &sum, 1, out);
    }
}

void tk_depthwise3x3_conv2d_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int8_t *scratch,
                                      int8_t *out) {
    tk_depthwise_rows_s8_scalar(p, x, scratch, out, one_row);
}
