/* tk_average_pool2d_s16.h - mean of each window's int16 codes, halves away from zero; padding does not count.
 *
 * x    [input_height][input_width][channels]    int16
 * out  [output_height][output_width][channels]  int16, same scale
 * Windows and parameters: tk_pool2d_s8.h, whose sizes are in codes. Windows hold fewer than 2^15 codes.
 * Source: TensorFlow Lite reference/integer_ops/pooling.h. Pixels are done in ascending order: out may
 * begin before x where it overwrites nothing that the same pixel or a later one reads. Reentrant; no
 * memory, no libc.
 */
#ifndef TK_AVERAGE_POOL2D_S16_H
#define TK_AVERAGE_POOL2D_S16_H

#include "tk_pool2d_s8.h"

void tk_average_pool2d_s16(const tk_pool2d_s8_params *p, const void *x, void *out);

#endif
