/* tk_widen_s16.h - int8 codes as int16 codes.
 *
 *   out[i] = clamp(requantize(x[i] - zero_point, multiplier, shift), low, high)
 *
 * x    [size]  int8;  out  [size]  int16; may begin before x where no code is overwritten that
 *      is still read
 * zero_point         of x
 * multiplier, shift  see tk_requantize.h;  low, high: of the output
 *
 * Source: TensorFlow Lite reference/requantize.h. Reentrant; no memory, no libc.
 */
#ifndef TK_WIDEN_S16_H
#define TK_WIDEN_S16_H

#include <stdint.h>

typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_widen_s16_params;

void tk_widen_s16(const tk_widen_s16_params *p, const void *x, void *out);

#endif
