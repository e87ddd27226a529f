/* tk_depthwise_columns_s8_mve.h - 2-D convolution of each channel by itself, with any strides and dilations.
 *
 * Operands, scratch and order: tk_depthwise_s8_mve.h. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_COLUMNS_S8_MVE_H
#define TK_DEPTHWISE_COLUMNS_S8_MVE_H

#include "tk_depthwise_s8_mve.h"

void tk_depthwise_columns_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch,
                                 int8_t *out);

#endif
