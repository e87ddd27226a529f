#include "tk_transpose_conv2d_s16.h"

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

static int64_t product(const int16_t *x, const int8_t *w, int32_t channels) {
    int64_t sum = 0;
    for (int32_t c = 0; c < channels; c++) {
        sum += x[c] * w[c];
    }
    return sum;
}

static int64_t one_sum(const tk_transpose_conv2d_s16_params *p, const int16_t *x, reach rows, reach columns,
                       int32_t o) {
    int64_t sum = 0;
    for (int32_t i = rows.first; i < rows.end; i++) {
        const int32_t line = o * p->kernel_height + rows.full - i * p->stride_height;
        for (int32_t j = columns.first; j < columns.end; j++) {
            const int32_t tap = line * p->kernel_width + columns.full - j * p->stride_width;
            sum += product(x + (i * p->input_width + j) * p->channels, p->weight + tap * p->channels,
                           p->channels);
        }
    }
    return sum;
}

void tk_transpose_conv2d_s16(const tk_transpose_conv2d_s16_params *p, const void *x, void *out) {
    int16_t *codes = out;
    for (int32_t row = 0; row < p->output_height; row++) {
        const reach rows = reach_of(row + p->pad_top, p->kernel_height, p->stride_height, p->input_height);
        for (int32_t column = 0; column < p->output_width; column++) {
            const reach columns =
                reach_of(column + p->pad_left, p->kernel_width, p->stride_width, p->input_width);
            for (int32_t o = 0; o < p->outputs; o++) {
                *codes++ = tk_output_s16(&p->output, o, one_sum(p, x, rows, columns, o));
            }
        }
    }
}
