/* tk_rescale_s16.h - int16 codes at another scale, each side of 0 by its own factor: relu, relu6, leaky_relu.
 *
 *   out[i] = clamp(x[i] >= 0 ? requantize(x[i], multiplier, shift)
 *                            : sign * requantize(x[i], below_multiplier, below_shift), low, high)
 *
 * x, out  [size]  int16; out may be x
 * multiplier, shift, below_multiplier, below_shift  see tk_requantize.h
 * sign    1, or -1 where the slope below 0 is negative;  low, high: of the output
 *
 * Source: TensorFlow Lite reference/leaky_relu.h QuantizeLeakyRelu; Micro's activations_common.cc.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_RESCALE_S16_H
#define TK_RESCALE_S16_H

#include <stdint.h>

typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    int32_t below_multiplier;
    int32_t below_shift;
    int32_t sign;
    int32_t low;
    int32_t high;
} tk_rescale_s16_params;

void tk_rescale_s16(const tk_rescale_s16_params *p, const void *x, void *out);

#endif
