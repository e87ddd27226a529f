#include "tk_depthwise_rows_s8_scalar.h"

#include <string.h>

/* A row of x to line number `slot` of every channel; what is left and right of it stays. */
static void copy_row(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int32_t slot,
                     int8_t *scratch) {
    const int32_t room = p->line - p->window.pad_left, channels = p->window.channels;
    const int32_t width = room < p->window.input_width ? room : p->window.input_width;
    const int32_t pitch = p->lines * p->line;
    int8_t *start = scratch + slot * p->line + p->window.pad_left;
    for (int32_t c = 0; c < channels; c++, start += pitch) {
        const int8_t *from = x + c;
        int8_t *to = start, *const end = start + width;
        for (; end - to >= 4; to += 4, from += 4 * channels) {
            const int8_t *const third = from + 2 * channels;
            to[0] = from[0], to[1] = from[channels], to[2] = third[0], to[3] = third[channels];
        }
        for (; to != end; to++, from += channels) {
            *to = *from;
        }
    }
}

static void pad_row(const tk_depthwise_s8_scalar_params *p, int32_t slot, int8_t *scratch) {
    for (int32_t c = 0; c < p->window.channels; c++) {
        memset(scratch + (c * p->lines + slot) * p->line, p->window.zero_point, (size_t)p->line);
    }
}

/* Rows [from, end) of x, counted from the first of the padding, to their lines. */
static void take_rows(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int32_t from,
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

void tk_depthwise_rows_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int8_t *scratch,
                                 int8_t *out, tk_depthwise_row *row) {
    const tk_window_s8_scalar *window = &p->window;
    const int32_t channels = window->channels;
    memset(scratch, window->zero_point, (size_t)(channels * p->lines * p->line));
    for (int32_t y = 0, taken = 0; y < window->output_height; y++) {
        const int32_t from = y * window->stride_height;
        take_rows(p, x, taken < from ? from : taken, from + p->lines, scratch);
        taken = from + p->lines;
        tk_band_s8_scalar under = {scratch, from % p->lines};
        for (int32_t c = 0; c < channels; c++, under.lines += p->lines * p->line) {
            row(p, under, c, out + c);
        }
        out += window->output_width * channels;
    }
}

void tk_depthwise_put_s8_scalar(const tk_depthwise_s8_scalar_params *p, int32_t channel, const int32_t *sums,
                                int32_t count, int8_t *out) {
    const tk_output_s8_scalar_params output = p->output;
    const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&output, channel);
    const int32_t channels = p->window.channels;
    for (const int32_t *const end = sums + count; sums != end; out += channels) {
        *out = tk_output_s8_scalar(&output, scale, *sums++);
    }
}
