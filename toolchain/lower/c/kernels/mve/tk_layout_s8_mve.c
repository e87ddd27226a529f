#include "tk_layout_s8_mve.h"

#include "tk_pieces_s8_mve.h"

/* `count` columns from `first` on, `step` apart: [count][kernel_height][channels]. */
static void lay_columns(const tk_window_s8_mve *p, const int8_t *x, int32_t top, int32_t first, int32_t step,
                        int32_t count, int8_t *to) {
    const int32_t channels = p->channels, height = p->kernel_height;
    const tk_span_s8_mve inside = tk_span_on_x_s8_mve(p, first, step, count);
    tk_pieces_s8_mve pieces = {.to_step = height * channels, .from_step = step * channels, .run = channels};
    for (int32_t tap = 0; tap < height; tap++) {
        const int32_t y = top + tap * p->dilation_height, on_x = y >= 0 && y < p->input_height;
        const int32_t begin = on_x ? inside.begin : count, end = on_x ? inside.end : count;
        pieces.to = to + tap * channels;
        if (begin > 0) {
            pieces.count = begin;
            tk_fill_pieces_s8_mve(&pieces, p->zero_point);
        }
        pieces.to += begin * pieces.to_step;
        if (end > begin) {
            pieces.count = end - begin;
            pieces.from = x + (y * p->input_width + first + begin * step) * channels;
            tk_copy_pieces_s8_mve(&pieces);
        }
        if (count > end) {
            pieces.to += (end - begin) * pieces.to_step;
            pieces.count = count - end;
            tk_fill_pieces_s8_mve(&pieces, p->zero_point);
        }
    }
}

const int8_t *tk_layout_s8_mve(const tk_window_s8_mve *p, const int8_t *x, int32_t row, int32_t column,
                               int32_t count, int8_t *scratch, int32_t *step) {
    const int32_t top = row * p->stride_height - p->pad_top, stride = p->stride_width;
    const int32_t channels = p->channels, columns = (count - 1) * stride + p->kernel_width;
    int32_t left = column * stride - p->pad_left;
    if (p->kernel_height == 1 && p->dilation_width == 1 && top >= 0 && top < p->input_height && left >= 0 &&
        left + columns <= p->input_width) {
        *step = stride * channels;
        return x + (top * p->input_width + left) * channels;
    }
    if (p->dilation_width == 1) {
        *step = stride * p->kernel_height * channels;
        lay_columns(p, x, top, left, 1, columns, scratch);
        return scratch;
    }
    *step = p->kernel_width * p->kernel_height * channels;
    for (int32_t i = 0; i < count; i++) {
        lay_columns(p, x, top, left, p->dilation_width, p->kernel_width, scratch + i * *step);
        left += stride;
    }
    return scratch;
}
