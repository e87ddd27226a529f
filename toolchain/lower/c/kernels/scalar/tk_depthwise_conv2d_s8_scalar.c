#include "tk_depthwise_conv2d_s8_scalar.h"

#include <string.h>

/* A row of x to line number `slot` of every channel; what is left and right of it stays. */
static void copy_row(const tk_depthwise_conv2d_s8_scalar_params *p, const int8_t *x, int32_t slot,
                     int8_t *scratch) {
    const int32_t room = p->line - p->window.pad_left, channels = p->window.channels;
    const int32_t width = room < p->window.input_width ? room : p->window.input_width;
    const int32_t pitch = p->lines * p->line;
    int8_t *start = scratch + slot * p->line + p->window.pad_left;
    for (int32_t c = 0; c < channels; c++, start += pitch) {
        const int8_t *from = x + c;
        for (int8_t *to = start, *const end = start + width; to != end; from += channels) {
            *to++ = *from;
        }
    }
}

static void pad_row(const tk_depthwise_conv2d_s8_scalar_params *p, int32_t slot, int8_t *scratch) {
    for (int32_t c = 0; c < p->window.channels; c++) {
        memset(scratch + (c * p->lines + slot) * p->line, p->window.zero_point, (size_t)p->line);
    }
}

/* Rows [from, end) of x, counted from the first of the padding, to their lines. */
static void take_rows(const tk_depthwise_conv2d_s8_scalar_params *p, const int8_t *x, int32_t from,
                      int32_t end, int8_t *scratch) {
    for (; from < end; from++) {
        const int32_t row = from - p->window.pad_top;
        if (row < 0 || row >= p->window.input_height) {
            pad_row(p, from % p->lines, scratch);
        } else {
            copy_row(p, x + row * p->window.input_width * p->window.channels, from % p->lines, scratch);
        }
    }
}

/* Under the windows of an output row, for one channel: its first line, then what follows it line by line. */
typedef struct {
    const int8_t *lines;
    int32_t first;
} band;

static const int8_t *line_of(const tk_depthwise_conv2d_s8_scalar_params *p, band under, int32_t tap) {
    const int32_t slot = under.first + tap * p->window.dilation_height;
    return under.lines + (slot < p->lines ? slot : slot - p->lines) * p->line;
}

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

/* Codes of `count` neighbouring pixels of a channel. */
static void put(const tk_output_s8_scalar_params *output, tk_scale_s8_scalar scale, const int32_t *sums,
                int32_t count, int32_t channels, int8_t *out) {
    const tk_output_s8_scalar_params bounds = *output;
    for (const int32_t *const end = sums + count; sums != end; out += channels) {
        *out = tk_output_s8_scalar(&bounds, scale, *sums++);
    }
}

static void row_3x3(const tk_depthwise_conv2d_s8_scalar_params *p, band under, int32_t c, int8_t *out) {
    const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&p->output, c);
    const int32_t channels = p->window.channels, stride = p->window.stride_width, bias = p->output.bias[c];
    const int8_t *top = line_of(p, under, 0), *middle = line_of(p, under, 1), *bottom = line_of(p, under, 2);
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
        put(&p->output, scale, sums, left < 4 ? left : 4, channels, out);
        top += 4 * stride, middle += 4 * stride, bottom += 4 * stride, out += 4 * channels;
    }
    if (left == 1) {
        const int32_t sum = nine_taps(top, middle, bottom, p->weight + 9 * c, bias);
        put(&p->output, scale, &sum, 1, channels, out);
    }
}

static void row_any(const tk_depthwise_conv2d_s8_scalar_params *p, band under, int32_t c, int8_t *out) {
    const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&p->output, c);
    const int32_t channels = p->window.channels, stride = p->window.stride_width;
    const int32_t right = p->window.dilation_width, taps = p->window.kernel_height * p->window.kernel_width;
    for (int32_t left = p->window.output_width; left > 0; left -= 4) {
        const int32_t column = p->window.output_width - left;
        const int8_t *w = p->weight + c * taps;
        int32_t a0 = p->output.bias[c], a1 = a0, a2 = a0, a3 = a0;
        for (int32_t tap = 0; tap < p->window.kernel_height; tap++) {
            const int8_t *x = line_of(p, under, tap) + column * stride;
            for (const int8_t *const end = w + p->window.kernel_width; w != end; x += right) {
                const int32_t value = *w++;
                a0 += x[0] * value;
                a1 += x[stride] * value;
                a2 += x[2 * stride] * value;
                a3 += x[3 * stride] * value;
            }
        }
        const int32_t sums[4] = {a0, a1, a2, a3};
        put(&p->output, scale, sums, left < 4 ? left : 4, channels, out);
        out += 4 * channels;
    }
}

void tk_depthwise_conv2d_s8_scalar(const tk_depthwise_conv2d_s8_scalar_params *p, const int8_t *x,
                                   int8_t *scratch, int8_t *out) {
    const tk_patch_s8_params *window = &p->window;
    const int32_t channels = window->channels;
    void (*const row)(const tk_depthwise_conv2d_s8_scalar_params *, band, int32_t, int8_t *) =
        window->kernel_height == 3 && window->kernel_width == 3 && window->dilation_width == 1 &&
                window->stride_width <= 2
            ? row_3x3
            : row_any;
    memset(scratch, window->zero_point, (size_t)(channels * p->lines * p->line));
    int32_t taken = 0;
    for (int32_t y = 0; y < window->output_height; y++) {
        const int32_t from = y * window->stride_height;
        take_rows(p, x, taken < from ? from : taken, from + p->lines, scratch);
        taken = from + p->lines;
        for (int32_t c = 0; c < channels; c++) {
            const band under = {scratch + c * p->lines * p->line, from % p->lines};
            row(p, under, c, out + c);
        }
        out += window->output_width * channels;
    }
}
