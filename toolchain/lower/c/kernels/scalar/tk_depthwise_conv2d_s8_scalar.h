/* tk_depthwise_conv2d_s8_scalar.h - 2-D convolution of each channel by itself.
 *
 * Any window. Four pixels at a time share each load of a weight.
 * Everything else is tk_depthwise_rows_s8_scalar.h's. Reentrant; libc: memset.
 */
#ifndef TK_DEPTHWISE_CONV2D_S8_SCALAR_H
#define TK_DEPTHWISE_CONV2D_S8_SCALAR_H

#include "tk_depthwise_rows_s8_scalar.h"

void tk_depthwise_conv2d_s8_scalar(const tk_depthwise_s8_scalar_params *p, const int8_t *x, int8_t *scratch,
                                   int8_t *out);

#endif
