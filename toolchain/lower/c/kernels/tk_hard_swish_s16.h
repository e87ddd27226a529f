/* tk_hard_swish_s16.h - x * relu6(x + 3) / 6 on int16 codes.
 *
 *   out[i] = clamp(requantize_once(x[i] * clamp(x[i] * 2^lift + three, 0, six), multiplier, shift))
 *
 * x, out      [size]  int16; out may be x
 * lift        bits that are put below a step of x's scale, [0, 40]
 * three, six  of x's scale, in these bits; six is below 2^31
 * multiplier, shift  of (scale of x)^2 / (6 * scale of out * 2^lift), see tk_requantize_s16.h
 *
 * Definition: Howard et al. 2019, "Searching for MobileNetV3"; the arithmetic is toolchain.runtime's, as
 * TensorFlow Lite has no 16-bit kernel. Reentrant; no memory, no libc.
 */
#ifndef TK_HARD_SWISH_S16_H
#define TK_HARD_SWISH_S16_H

#include <stdint.h>

typedef struct {
    int32_t size;
    int32_t lift;
    int32_t three;
    int32_t six;
    int32_t multiplier;
    int32_t shift;
} tk_hard_swish_s16_params;

void tk_hard_swish_s16(const tk_hard_swish_s16_params *p, const void *x, void *out);

#endif
