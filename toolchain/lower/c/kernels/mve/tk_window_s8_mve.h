/* tk_window_s8_mve.h - sizes of a sliding window, channels last.
 *
 * zero_point  the code of padding
 * Strides and dilations >= 1; bottom and right padding follow from the output's size.
 */
#ifndef TK_WINDOW_S8_MVE_H
#define TK_WINDOW_S8_MVE_H

#include <stdint.h>

typedef struct {
    int16_t input_height;
    int16_t input_width;
    int16_t channels;
    int16_t output_height;
    int16_t output_width;
    int16_t strip;
    uint8_t kernel_height;
    uint8_t kernel_width;
    uint8_t stride_height;
    uint8_t stride_width;
    uint8_t dilation_height;
    uint8_t dilation_width;
    uint8_t pad_top;
    uint8_t pad_left;
    int16_t zero_point;
} tk_window_s8_mve;

/* A row's columns first, first + step ...: [begin, end) of `count` lie on x. */
typedef struct {
    int32_t begin;
    int32_t end;
} tk_span_s8_mve;

static inline int32_t tk_clamp_s8_mve(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

static inline tk_span_s8_mve tk_span_on_x_s8_mve(const tk_window_s8_mve *p, int32_t first, int32_t step,
                                                 int32_t count) {
    const int32_t outside = first < 0 ? (step - 1 - first) / step : 0;
    tk_span_s8_mve span = {.begin = outside < count ? outside : count};
    span.end = tk_clamp_s8_mve((p->input_width - 1 - first + step) / step, span.begin, count);
    return span;
}

#endif
