#include "tk_conv2d_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_widen_row_s8_dsp.h"
#include "tk_widen_tile_s8_dsp.h"

/* A kernel row's values from row y and column `left` of x on: where they lie, or gathered in `run`. */
static const int8_t *kernel_row(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t y, int32_t left,
                                int8_t *run) {
    const tk_patch_s8_params *w = &p->window;
    const int32_t depth = p->depth, together = p->together, width = w->input_width;
    const int32_t inside = y >= 0 && y < w->input_height;
    if (inside && together == w->kernel_width && left >= 0 && left + together <= width) {
        return x + (y * width + left) * w->channels;
    }
    memset(run, w->zero_point, (size_t)(w->kernel_width * depth));
    for (int32_t tap = 0; inside && tap < w->kernel_width; tap += together, left += w->dilation_width) {
        int32_t first = left < 0 ? -left : 0, last = width - left < together ? width - left : together;
        if (first < last) {
            memcpy(run + (tap + first) * depth, x + (y * width + left + first) * w->channels,
                   (size_t)((last - first) * depth));
        }
    }
    return run;
}

/* The patches of `count` pixels from number `first` on as words. */
static void lay_out_anywhere(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t first, int32_t count,
                             uint32_t *words) {
    const tk_patch_s8_params *w = &p->window;
    const int32_t bytes = w->kernel_width * p->depth;
    int8_t *runs = (int8_t *)(words + count * 2 * p->matrix.block.units);
    for (int32_t tap = 0; tap < w->kernel_height; tap++) {
        const int8_t *three[3];
        for (int32_t i = 0; i < count; i++) {
            int32_t row = (first + i) / w->output_width, column = first + i - row * w->output_width;
            three[i] = kernel_row(p, x, row * w->stride_height - w->pad_top + tap * w->dilation_height,
                                  column * w->stride_width - w->pad_left, runs + i * bytes);
        }
        words = count == 3 ? tk_widen_tile_s8_dsp(three, bytes, words)
                           : tk_widen_row_s8_dsp(three[0], bytes, words, 1);
    }
}

/* The patches of three neighbours in a row, the first from `run` on; no tap lies outside. */
static void lay_out_inside(const tk_conv2d_s8_dsp_params *p, const int8_t *run, uint32_t *words) {
    const tk_patch_s8_params *w = &p->window;
    const int32_t bytes = w->kernel_width * p->depth, step = w->stride_width * w->channels;
    const int32_t pitch = w->dilation_height * w->input_width * w->channels;
    for (int32_t tap = 0; tap < w->kernel_height; tap++) {
        const int8_t *from = run + tap * pitch, *const three[3] = {from, from + step, from + 2 * step};
        words = tk_widen_tile_s8_dsp(three, bytes, words);
    }
}

/* The patches of the next `count` pixels, from number `first` on, as words. */
static void lay_out(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t first, int32_t count,
                    uint32_t *words) {
    const tk_patch_s8_params *w = &p->window;
    const int32_t row = first / w->output_width, column = first - row * w->output_width;
    const int32_t top = row * w->stride_height - w->pad_top, left = column * w->stride_width - w->pad_left;
    if (count == 3 && p->together == w->kernel_width && column + 3 <= w->output_width && top >= 0 &&
        left >= 0 && top + (w->kernel_height - 1) * w->dilation_height < w->input_height &&
        left + 2 * w->stride_width + w->kernel_width <= w->input_width) {
        lay_out_inside(p, x + (top * w->input_width + left) * w->channels, words);
    } else {
        lay_out_anywhere(p, x, first, count, words);
    }
}

static void group(const tk_conv2d_s8_dsp_params *p, const tk_matrix_s8_dsp_params *matrix, const int8_t *x,
                  void *scratch, int8_t *out) {
    const int32_t pixels = p->window.output_height * p->window.output_width;
    const int32_t pitch = p->groups * matrix->channels;
    for (int32_t left = pixels; left > 0;) {
        int32_t count = left >= 3 ? 3 : 1, first = p->backwards ? left - count : pixels - left;
        lay_out(p, x, first, count, scratch);
        tk_matrix_s8_dsp(matrix, scratch, count, out + first * pitch, pitch);
        left -= count;
    }
}

void tk_conv2d_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch, int8_t *out) {
    const int32_t pairs = (p->matrix.channels + 1) / 2;
    tk_matrix_s8_dsp_params matrix = p->matrix;
    for (int32_t g = 0; g < p->groups; g++) {
        group(p, &matrix, x + g * p->depth, scratch, out + g * matrix.channels);
        matrix.block.weight += pairs * 2 * matrix.block.units;
        matrix.block.output += pairs * 8;
    }
    const int32_t pixels = p->window.output_height * p->window.output_width;
    tk_clamp_s8_dsp(out, pixels * p->groups * matrix.channels, p->low, p->high);
}
