#include "tk_transpose_conv2d_s8.h"

/* Along one axis, the inputs [first, end) whose windows hold a place of the full output, and which line of
 * the weights, as they are ordered, `first` meets; the next meets the next. */
typedef struct {
    int32_t first;
    int32_t end;
    int32_t line;
} reach;

static reach reach_of(int32_t full, int32_t kernel, int32_t stride, int32_t size) {
    reach inputs = {0, 0, 0};
    if (full >= 0) {
        const int32_t last = full / stride, phase = full % stride, rest = kernel % stride;
        const int32_t lines = kernel / stride + (phase < rest);
        const int32_t before = kernel / stride * phase + (phase < rest ? phase : rest);
        inputs.first = last < lines ? 0 : last - lines + 1;
        inputs.end = last < size ? last + 1 : size;
        inputs.line = before + lines - 1 - last + inputs.first;
    }
    const reach none = {0, 0, 0};
    return inputs.first < inputs.end ? inputs : none;
}

static void four_sums(const tk_transpose_conv2d_s8_params *p, const int8_t *x, reach rows, int32_t run,
                      const int8_t *w, int32_t sums[4]) {
    const int32_t pitch = p->kernel_height * p->kernel_width * p->channels, zero_point = p->input_zero_point;
    int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
    for (int32_t i = rows.first; i < rows.end; i++) {
        const int8_t *w1 = w + pitch, *w2 = w1 + pitch, *w3 = w2 + pitch;
        for (int32_t k = 0; k < run; k++) {
            const int32_t value = x[k] - zero_point;
            sum0 += value * w[k];
            sum1 += value * w1[k];
            sum2 += value * w2[k];
            sum3 += value * w3[k];
        }
        x += p->input_width * p->channels;
        w += p->kernel_width * p->channels;
    }
    sums[0] = sum0, sums[1] = sum1, sums[2] = sum2, sums[3] = sum3;
}

static int32_t one_sum(const tk_transpose_conv2d_s8_params *p, const int8_t *x, reach rows, int32_t run,
                       const int8_t *w) {
    int32_t sum = 0;
    for (int32_t i = rows.first; i < rows.end; i++) {
        for (int32_t k = 0; k < run; k++) {
            sum += (x[k] - p->input_zero_point) * w[k];
        }
        x += p->input_width * p->channels;
        w += p->kernel_width * p->channels;
    }
    return sum;
}

static void pixel(const tk_transpose_conv2d_s8_params *p, const int8_t *x, reach rows, reach columns,
                  int8_t *out) {
    const int32_t run = (columns.end - columns.first) * p->channels;
    const int32_t pitch = p->kernel_height * p->kernel_width * p->channels;
    x += (rows.first * p->input_width + columns.first) * p->channels;
    const int8_t *const weight = p->weight + (rows.line * p->kernel_width + columns.line) * p->channels;
    for (int32_t o = 0; o < p->outputs;) {
        const int32_t count = p->outputs - o < 4 ? 1 : 4;
        const int8_t *const w = weight + o * pitch;
        int32_t sums[4];
        if (count == 4) {
            four_sums(p, x, rows, run, w, sums);
        } else {
            sums[0] = one_sum(p, x, rows, run, w);
        }
        for (int32_t i = 0; i < count; i++) {
            out[o + i] = tk_output_s8(&p->output, o + i, sums[i]);
        }
        o += count;
    }
}

void tk_transpose_conv2d_s8(const tk_transpose_conv2d_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        const reach rows = reach_of(row + p->pad_top, p->kernel_height, p->stride_height, p->input_height);
        for (int32_t column = 0; column < p->output_width; column++) {
            const reach columns =
                reach_of(column + p->pad_left, p->kernel_width, p->stride_width, p->input_width);
            pixel(p, x, rows, columns, out);
            out += p->outputs;
        }
    }
}
