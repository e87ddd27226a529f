/* tk_resize_bilinear_s8.h - another height and width; each pixel is made of the four around its place.
 *
 * x       [input_height][input_width][channels]    int8
 * out     [output_height][output_width][channels]  int8, same scale and zero point; may not overlap x
 * row     [output_height]  where each row of the output lies in the input, in 1/1024 rows,
 *                          in [0, 1024 * (input_height - 1)]
 * column  [output_width]   the same along the width
 *
 * Weighted by the distance, halves away from zero. The tables are made at build time by
 * toolchain.runtime.resize_int8. Source: TensorFlow Lite reference/resize_bilinear.h
 * ResizeBilinearInteger. Reentrant; no memory, no libc.
 */
#ifndef TK_RESIZE_BILINEAR_S8_H
#define TK_RESIZE_BILINEAR_S8_H

#include <stdint.h>

typedef struct {
    int32_t input_height;
    int32_t input_width;
    int32_t channels;
    int32_t output_height;
    int32_t output_width;
    const int32_t *row;
    const int32_t *column;
} tk_resize_bilinear_s8_params;

void tk_resize_bilinear_s8(const tk_resize_bilinear_s8_params *p, const int8_t *x, int8_t *out);

#endif
