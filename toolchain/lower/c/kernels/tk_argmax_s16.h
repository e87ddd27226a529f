/* tk_argmax_s16.h - where along an axis the largest code is; of equals the first.
 *
 * x    [rows][depth][inner]  int16
 * out  [rows][inner]  int32, in [0, depth); aligned to 4, may not overlap x
 *
 * Source: TensorFlow Lite reference/arg_min_max.h. Reentrant; no memory, no libc.
 */
#ifndef TK_ARGMAX_S16_H
#define TK_ARGMAX_S16_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t inner;
} tk_argmax_s16_params;

void tk_argmax_s16(const tk_argmax_s16_params *p, const void *x, void *out);

#endif
