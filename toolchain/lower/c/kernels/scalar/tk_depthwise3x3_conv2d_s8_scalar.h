/* tk_depthwise3x3_conv2d_s8_scalar.h - 3x3 convolution of each channel by itself.
 *
 * window  kernel_height = kernel_width = 3, dilation_width = 1, stride_width 1 or 2
 *
 * Four pixels at a time share each load of a weight, and loads of x with their neighbours.
 * Everything else is tk_depthwise_rows_s8_scalar.h's. Reentrant; libc: memset.
 */
#ifndef TK_DEPTHWISE3X3_CONV2D_S8_SCALAR_H
#define TK_DEPTHWISE3X3_CONV2D_S8_SCALAR_H

#include "tk_depthwise_rows_s8_scalar.h"

void tk_depthwise3x3_conv2d_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x,
                                      int8_t *scratch, int8_t *out);

#endif
