/* tk_softmax_s16.h - softmax over the last axis of int16 codes.
 *
 * x, out      [rows][depth]  int16; out may be x. The output's scale is 2^-15
 * multiplier, shift  bring x's scale times beta to 10 / 65535, see tk_requantize.h
 * exp         [513]  exp over [-10, 0] in Q15, 128 codes to an interval
 * reciprocal  [513]  1 / (1 + x) over [0, 1] in Q15
 * depth       below 2^15
 *
 * Source: TensorFlow Lite reference/softmax.h SoftmaxInt16. Reentrant; no memory, no libc.
 */
#ifndef TK_SOFTMAX_S16_H
#define TK_SOFTMAX_S16_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t multiplier;
    int32_t shift;
    const int16_t *exp;
    const int16_t *reciprocal;
} tk_softmax_s16_params;

void tk_softmax_s16(const tk_softmax_s16_params *p, const void *x, void *out);

#endif
