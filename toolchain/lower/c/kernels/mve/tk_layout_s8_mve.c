#include "tk_layout_s8_mve.h"

#include "tk_pieces_s8_mve.h"

/* `width` neighbouring columns of a row, again and again: from column `first`, first + stride ... */
typedef struct {
    int32_t first;
    int32_t stride;
    int32_t width;
    int32_t count;
} runs;

static int32_t clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Pieces [begin, end) of `all`, which reach over the row's ends or lie on padding. */
static void copy_partly(const tk_layout_s8_mve_params *p, const int8_t *row, runs r,
                        const tk_pieces_s8_mve *all, int32_t begin, int32_t end) {
    tk_pieces_s8_mve part = *all;
    part.to += begin * all->to_step;
    part.count = end - begin;
    tk_fill_pieces_s8_mve(&part, p->zero_point);
    part.count = 1;
    for (int32_t i = begin; i < end && r.width > 1 && row != 0; i++) {
        const int32_t left = r.first + i * r.stride, from = clamp(left, 0, p->input_width);
        const int32_t inside = clamp(left + r.width, 0, p->input_width) - from;
        if (inside > 0) {
            part.to = all->to + i * all->to_step + (from - left) * p->channels;
            part.from = row + from * p->channels;
            part.run = inside * p->channels;
            tk_copy_pieces_s8_mve(&part);
        }
    }
}

/* The runs of one row, which is 0 on padding. */
static void copy_runs(const tk_layout_s8_mve_params *p, const int8_t *row, runs r, int8_t *to,
                      int32_t to_step) {
    const int32_t room = p->input_width - r.width - r.first;
    const int32_t outside = r.first < 0 ? (r.stride - 1 - r.first) / r.stride : 0;
    const int32_t begin = row == 0 ? r.count : clamp(outside, 0, r.count);
    const int32_t end = row == 0 || room < 0 ? begin : clamp(room / r.stride + 1, begin, r.count);
    tk_pieces_s8_mve pieces = {.to = to, .to_step = to_step, .run = r.width * p->channels,
                               .from_step = r.stride * p->channels, .from = row, .count = 0};
    if (begin > 0) {
        copy_partly(p, row, r, &pieces, 0, begin);
    }
    if (r.count > end) {
        copy_partly(p, row, r, &pieces, end, r.count);
    }
    if (end > begin) {
        pieces.to += begin * to_step;
        pieces.from += (r.first + begin * r.stride) * p->channels;
        pieces.count = end - begin;
        tk_copy_pieces_s8_mve(&pieces);
    }
}

/* The windows' columns or runs of one row. */
static void copy_row(const tk_layout_s8_mve_params *p, const int8_t *row, int32_t left, int32_t count,
                     int32_t tap, int8_t *scratch) {
    const int32_t channels = p->channels, run = p->kernel_width * channels, window = p->kernel_height * run;
    runs r = {.first = left, .stride = p->stride_width, .width = p->kernel_width, .count = count};
    if (p->by_columns) {
        r.count = (count - 1) * p->stride_width + p->kernel_width;
        r.stride = 1;
        r.width = 1;
        copy_runs(p, row, r, scratch + tap * channels, p->kernel_height * channels);
    } else if (p->dilation_width == 1) {
        copy_runs(p, row, r, scratch + tap * run, window);
    } else {
        r.width = 1;
        for (int32_t column = 0; column < p->kernel_width; column++) {
            copy_runs(p, row, r, scratch + tap * run + column * channels, window);
            r.first += p->dilation_width;
        }
    }
}

const int8_t *tk_layout_s8_mve(const tk_layout_s8_mve_params *p, const int8_t *x, int32_t row, int32_t column,
                               int32_t count, int8_t *scratch, int32_t *step) {
    const int32_t top = row * p->stride_height - p->pad_top, left = column * p->stride_width - p->pad_left;
    const int32_t channels = p->channels, line = p->input_width * channels;
    if (p->kernel_height == 1 && p->dilation_width == 1 && top >= 0 && top < p->input_height && left >= 0 &&
        left + (count - 1) * p->stride_width + p->kernel_width <= p->input_width) {
        *step = p->stride_width * channels;
        return x + top * line + left * channels;
    }
    for (int32_t tap = 0; tap < p->kernel_height; tap++) {
        int32_t y = top + tap * p->dilation_height;
        copy_row(p, y < 0 || y >= p->input_height ? 0 : x + y * line, left, count, tap, scratch);
    }
    *step = p->kernel_height * channels * (p->by_columns ? p->stride_width : p->kernel_width);
    return scratch;
}
