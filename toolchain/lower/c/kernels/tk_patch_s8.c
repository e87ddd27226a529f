#include "tk_patch_s8.h"

#include <string.h>

static int32_t clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* `count` neighbouring pixels of a row from column `left`, which may lie outside it. */
static void copy_run(const tk_patch_s8_params *p, const int8_t *row, int32_t left, int32_t count,
                     int8_t *out) {
    int32_t before = clamp(-left, 0, count), inside = clamp(p->input_width - left, 0, count) - before;
    size_t channels = (size_t)p->channels;
    if (inside < count) {
        memset(out, p->zero_point, (size_t)count * channels);
    }
    if (inside > 0) {
        memcpy(out + before * p->channels, row + (left + before) * p->channels, (size_t)inside * channels);
    }
}

static void copy_row(const tk_patch_s8_params *p, const int8_t *row, int32_t left, int8_t *out) {
    if (p->dilation_width == 1) {
        copy_run(p, row, left, p->kernel_width, out);
        return;
    }
    for (int32_t tap = 0; tap < p->kernel_width; tap++) {
        copy_run(p, row, left + tap * p->dilation_width, 1, out + tap * p->channels);
    }
}

const int8_t *tk_patch_s8(const tk_patch_s8_params *p, const int8_t *x, int32_t row, int32_t column,
                          int8_t *scratch) {
    const int32_t top = row * p->stride_height - p->pad_top, left = column * p->stride_width - p->pad_left;
    const int32_t pitch = p->input_width * p->channels, patch_pitch = p->kernel_width * p->channels;
    if (p->kernel_height == 1 && p->dilation_width == 1 && top >= 0 && top < p->input_height && left >= 0 &&
        left + p->kernel_width <= p->input_width) {
        return x + top * pitch + left * p->channels;
    }
    for (int32_t tap = 0; tap < p->kernel_height; tap++) {
        int32_t y = top + tap * p->dilation_height;
        int8_t *out = scratch + tap * patch_pitch;
        if (y < 0 || y >= p->input_height) {
            memset(out, p->zero_point, (size_t)patch_pitch);
        } else {
            copy_row(p, x + y * pitch, left, out);
        }
    }
    return scratch;
}
