/* tk_pool2d_s8.h - the windows of average_pool2d and max_pool2d, channels last; padding is left out of them.
 *
 * low, high  range of the output's codes
 * Strides >= 1, paddings >= 0 and smaller than the kernel, so that no window is empty.
 */
#ifndef TK_POOL2D_S8_H
#define TK_POOL2D_S8_H

#include <stdint.h>

typedef struct {
    int32_t input_height;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
    int32_t kernel_height;
    int32_t kernel_width;
    int32_t stride_height;
    int32_t stride_width;
    int32_t pad_top;
    int32_t pad_left;
    int32_t low;
    int32_t high;
} tk_pool2d_s8_params;

/* The part of a window that lies on the input: rows [top, bottom), columns [left, right). */
typedef struct {
    int32_t top;
    int32_t bottom;
    int32_t left;
    int32_t right;
} tk_pool2d_window;

static inline tk_pool2d_window tk_pool2d_window_at(const tk_pool2d_s8_params *p, int32_t row,
                                                   int32_t column) {
    const int32_t top = row * p->stride_height - p->pad_top, left = column * p->stride_width - p->pad_left;
    const int32_t bottom = top + p->kernel_height, right = left + p->kernel_width;
    tk_pool2d_window window = {
        .top = top < 0 ? 0 : top,
        .bottom = bottom > p->input_height ? p->input_height : bottom,
        .left = left < 0 ? 0 : left,
        .right = right > p->input_width ? p->input_width : right,
    };
    return window;
}

#endif
