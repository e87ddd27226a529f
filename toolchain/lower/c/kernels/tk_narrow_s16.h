/* tk_narrow_s16.h - int16 codes as int8 codes.
 *
 *   out[i] = zero_point + clamp(requantize(x[i], multiplier, shift), low, high)
 *
 * x    [size]  int16;  out  [size]  int8; may be x
 * zero_point         of the output;  low, high: the output's range less zero_point
 * multiplier, shift  see tk_requantize.h
 *
 * Source: TensorFlow Lite reference/requantize.h. Reentrant; no memory, no libc.
 */
#ifndef TK_NARROW_S16_H
#define TK_NARROW_S16_H

#include <stdint.h>

typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_narrow_s16_params;

void tk_narrow_s16(const tk_narrow_s16_params *p, const void *x, void *out);

#endif
