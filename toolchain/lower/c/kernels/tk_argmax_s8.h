/* tk_argmax_s8.h - where along an axis the largest code is; of equals the first.
 *
 * x    [rows][depth][inner]  int8
 * out  [rows][inner]  int32, in [0, depth); aligned to 4, may not overlap x
 *
 * Source: TensorFlow Lite reference/arg_min_max.h. Reentrant; no memory, no libc.
 */
#ifndef TK_ARGMAX_S8_H
#define TK_ARGMAX_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t inner;
} tk_argmax_s8_params;

void tk_argmax_s8(const tk_argmax_s8_params *p, const int8_t *x, void *out);

#endif
