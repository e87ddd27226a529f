#include "tk_transpose_conv2d_s8.h"

/* Along one axis, the inputs [first, end) whose windows hold the place `full` of the full output. */
typedef struct {
    int32_t full;
    int32_t first;
    int32_t end;
} reach;

static reach reach_of(int32_t full, int32_t kernel, int32_t stride, int32_t size) {
    const int32_t end = full < 0 ? 0 : full / stride + 1;
    reach inputs = {
        .full = full,
        .first = full < kernel ? 0 : (full - kernel) / stride + 1,
        .end = end > size ? size : end,
    };
    return inputs;
}

static void four_products(const tk_transpose_conv2d_s8_params *p, const int8_t *x, const int8_t *w0,
                          int32_t sums[4]) {
    const int32_t pitch = p->kernel_height * p->kernel_width * p->channels;
    const int8_t *w1 = w0 + pitch, *w2 = w1 + pitch, *w3 = w2 + pitch;
    int32_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    for (int32_t c = 0; c < p->channels; c++) {
        int32_t value = x[c] - p->input_zero_point;
        sum0 += value * w0[c];
        sum1 += value * w1[c];
        sum2 += value * w2[c];
        sum3 += value * w3[c];
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

static void one_product(const tk_transpose_conv2d_s8_params *p, const int8_t *x, const int8_t *w,
                        int32_t sums[1]) {
    int32_t sum = sums[0];
    for (int32_t c = 0; c < p->channels; c++) {
        sum += (x[c] - p->input_zero_point) * w[c];
    }
    sums[0] = sum;
}

/* `count` output channels from o on: 4 or 1. */
static void some_channels(const tk_transpose_conv2d_s8_params *p, const int8_t *x, reach rows, reach columns,
                          int32_t o, int32_t count, int8_t *out) {
    int32_t sums[4] = {0, 0, 0, 0};
    for (int32_t i = rows.first; i < rows.end; i++) {
        const int32_t line = o * p->kernel_height + rows.full - i * p->stride_height;
        for (int32_t j = columns.first; j < columns.end; j++) {
            const int32_t tap = line * p->kernel_width + columns.full - j * p->stride_width;
            const int8_t *from = x + (i * p->input_width + j) * p->channels;
            const int8_t *w = p->weight + tap * p->channels;
            if (count == 4) {
                four_products(p, from, w, sums);
            } else {
                one_product(p, from, w, sums);
            }
        }
    }
    for (int32_t n = 0; n < count; n++) {
        out[o + n] = tk_output_s8(&p->output, o + n, sums[n]);
    }
}

void tk_transpose_conv2d_s8(const tk_transpose_conv2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        const reach rows = reach_of(row + p->pad_top, p->kernel_height, p->stride_height, p->input_height);
        for (int32_t column = 0; column < p->output_width; column++) {
            const reach columns =
                reach_of(column + p->pad_left, p->kernel_width, p->stride_width, p->input_width);
            int32_t o = 0;
            for (; o + 4 <= p->outputs; o += 4) {
                some_channels(p, x, rows, columns, o, 4, out);
            }
            for (; o < p->outputs; o++) {
                some_channels(p, x, rows, columns, o, 1, out);
            }
            out += p->outputs;
        }
    }
}
