#include "tk_conv2d_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_widen_row_s8_dsp.h"
#include "tk_widen_tile_s8_dsp.h"

/* A kernel row's values from row y, column `left` of x on: where they lie, or gathered in `run`. */
static const int8_t *kernel_row(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t y, int32_t left,
                                int8_t *run) {
    const tk_patch_s8_params *w = &p->window;
    const size_t depth = (size_t)p->depth;
    const int8_t *row = x + y * w->input_width * w->channels;
    const int inside = y >= 0 && y < w->input_height;
    if (inside && w->dilation_width == 1 && p->groups == 1 && left >= 0 &&
        left + w->kernel_width <= w->input_width) {
        return row + left * w->channels;
    }
    for (int32_t tap = 0; tap < w->kernel_width; tap++, left += w->dilation_width) {
        int8_t *to = run + tap * p->depth;
        if (inside && left >= 0 && left < w->input_width) {
            memcpy(to, row + left * w->channels, depth);
        } else {
            memset(to, w->zero_point, depth);
        }
    }
    return run;
}

/* The patches of `count` pixels from number `first` on as words. */
static void lay_out(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t first, int32_t count,
                    uint32_t *words) {
    const tk_patch_s8_params *w = &p->window;
    const int32_t bytes = w->kernel_width * p->depth;
    int8_t *runs = (int8_t *)(words + count * 2 * p->matrix.block.units);
    int32_t top[3], left[3];
    for (int32_t i = 0; i < count; i++) {
        int32_t row = (first + i) / w->output_width, column = first + i - row * w->output_width;
        top[i] = row * w->stride_height - w->pad_top;
        left[i] = column * w->stride_width - w->pad_left;
    }
    for (int32_t tap = 0; tap < w->kernel_height; tap++) {
        const int8_t *three[3];
        for (int32_t i = 0; i < count; i++) {
            three[i] = kernel_row(p, x, top[i] + tap * w->dilation_height, left[i], runs + i * bytes);
        }
        words = count == 3 ? tk_widen_tile_s8_dsp(three, bytes, words)
                           : tk_widen_row_s8_dsp(three[0], bytes, words, 1);
    }
}

static void group(const tk_conv2d_s8_dsp_params *p, const tk_matrix_s8_dsp_params *matrix, const int8_t *x,
                  void *scratch, int8_t *out) {
    const int32_t pixels = p->window.output_height * p->window.output_width, pitch = p->groups * matrix->channels;
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
    tk_clamp_s8_dsp(out, p->window.output_height * p->window.output_width * p->groups * matrix.channels, p->low,
                    p->high);
}
