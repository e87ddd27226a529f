/* tk_patch_s8.h - the input values under a convolution's window, in one piece.
 *
 * x        [input_height][input_width][channels]    int8
 * scratch  [kernel_height][kernel_width][channels]  int8
 * returns  the patch for output pixel (row, column), [kernel_height][kernel_width][channels]: in `scratch`,
 *          or in x itself where the window is one row that lies within it. Taps on padding hold zero_point
 *
 * Strides and dilations >= 1, paddings >= 0; bottom and right padding follow from the output's size.
 * Reentrant; libc: memcpy, memset.
 */
#ifndef TK_PATCH_S8_H
#define TK_PATCH_S8_H

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
    int32_t dilation_height;
    int32_t dilation_width;
    int32_t pad_top;
    int32_t pad_left;
    int32_t zero_point;
} tk_patch_s8_params;

const int8_t *tk_patch_s8(const tk_patch_s8_params *p, const int8_t *x, int32_t row, int32_t column,
                          int8_t *scratch);

#endif
