/* tk_max_pool2d_s8.h - largest code of each window; padding does not count.
 *
 * x    [input_height][input_width][channels]    int8
 * out  [output_height][output_width][channels]  int8, same scale and zero point
 * Windows and parameters: tk_pool2d_s8.h. Source: TensorFlow Lite reference/integer_ops/pooling.h.
 * Pixels are done in ascending order: out may begin before x where it overwrites nothing that the same
 * pixel or a later one reads. Reentrant; libc: memset.
 */
#ifndef TK_MAX_POOL2D_S8_H
#define TK_MAX_POOL2D_S8_H

#include "tk_pool2d_s8.h"

void tk_max_pool2d_s8(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out);

#endif
