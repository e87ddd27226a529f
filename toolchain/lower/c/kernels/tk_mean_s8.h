/* tk_mean_s8.h - mean or sum over any axes.
 *
 *   out = zero_point + clamp(requantize(sum of the codes - count * zero point of x, multiplier, shift))
 *
 * kept, reduced      sizes of up to three axes that stay and three that are summed, 1 where unused
 * kept_stride, reduced_stride  distances in x between neighbours along them
 * x    int8;  out  [kept[0]][kept[1]][kept[2]]  int8
 * bias               -count * zero point of x, with count = product of `reduced`, below 2^23
 * multiplier, shift  of a mean with 1 / count in them, see tk_requantize.h
 * zero_point         of the output;  low, high: the output's range less zero_point
 *
 * Results follow in ascending order: out may begin before x where it overwrites nothing that a later one
 * reads.
 * Source: TensorFlow Lite reference/reduce.h QuantizedMeanOrSum. Reentrant; no memory, no libc.
 */
#ifndef TK_MEAN_S8_H
#define TK_MEAN_S8_H

#include <stdint.h>

typedef struct {
    int32_t kept[3];
    int32_t kept_stride[3];
    int32_t reduced[3];
    int32_t reduced_stride[3];
    int32_t bias;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_mean_s8_params;

void tk_mean_s8(const tk_mean_s8_params *p, const int8_t *x, int8_t *out);

#endif
