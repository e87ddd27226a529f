/* tk_layer_norm_s8.h - normalization over any axes: layer, instance and group norm.
 *
 *   y    = what tk_norm.h makes of the codes that are normalized together
 *   out  = zero_point + clamp(round((y * gain / 2^gain_shift + offset) / 2^16))
 *
 * kept, reduced  sizes of up to three axes that stay and three that are normalized over, 1 where unused
 * kept_stride, reduced_stride  distances in x and out between neighbours along them
 * kept_gain, reduced_gain      the same in gain and offset, 0 where they repeat
 * x, out         int8; out may be x
 * gain, offset   gamma and beta in steps of the output; gain_shift in [0, 62]
 * zero_point     of the output;  low, high: the output's range less zero_point
 *
 * Constants by toolchain.runtime.norm_int8, which defines the arithmetic. Reentrant; no memory, no libc.
 */
#ifndef TK_LAYER_NORM_S8_H
#define TK_LAYER_NORM_S8_H

#include "tk_norm.h"

typedef struct {
    int32_t kept[3];
    int32_t kept_stride[3];
    int32_t kept_gain[3];
    int32_t reduced[3];
    int32_t reduced_stride[3];
    int32_t reduced_gain[3];
    tk_norm_params norm;
    int32_t gain_shift;
    const int32_t *gain;
    const int32_t *offset;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_layer_norm_s8_params;

void tk_layer_norm_s8(const tk_layer_norm_s8_params *p, const int8_t *x, int8_t *out);

#endif
