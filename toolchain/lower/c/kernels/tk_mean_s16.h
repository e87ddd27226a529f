/* tk_mean_s16.h - mean of int16 codes over any axes.
 *
 *   out = clamp(requantize(sum of the codes, multiplier, shift))
 *
 * kept, reduced      sizes of up to three axes that stay and three that are summed, 1 where unused
 * kept_stride, reduced_stride  distances in x between neighbours along them
 * x    int16;  out  [kept[0]][kept[1]][kept[2]]  int16
 * multiplier, shift  with 1 / count in them, see tk_requantize.h; count = product of `reduced`, below 2^15
 *
 * Results follow in ascending order: out may begin before x where it overwrites nothing that a later one
 * reads.
 * Source: TensorFlow Lite reference/reduce.h QuantizedMeanOrSum. Reentrant; no memory, no libc.
 */
#ifndef TK_MEAN_S16_H
#define TK_MEAN_S16_H

#include <stdint.h>

typedef struct {
    int32_t kept[3];
    int32_t kept_stride[3];
    int32_t reduced[3];
    int32_t reduced_stride[3];
    int32_t multiplier;
    int32_t shift;
} tk_mean_s16_params;

void tk_mean_s16(const tk_mean_s16_params *p, const void *x, void *out);

#endif
