/* tk_depthwise_rows_s8_mve.h - 2-D convolution of each channel by itself, two rows of outputs at a time.
 *
 * Operands, scratch and order: tk_depthwise_s8_mve.h, with kernel_height at most 3, stride_height and
 * dilation_height 1. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_ROWS_S8_MVE_H
#define TK_DEPTHWISE_ROWS_S8_MVE_H

#include "tk_depthwise_s8_mve.h"

void tk_depthwise_rows_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out);

#endif
