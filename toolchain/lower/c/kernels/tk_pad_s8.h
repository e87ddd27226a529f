/* tk_pad_s8.h - write a constant around a value.
 *
 * x    [shape[0]][shape[1]][shape[2]][shape[3]]  int8
 * out  x with before[i] + after[i] more along each axis, int8, same scale and zero point; may not overlap x
 * stride  distances in out between neighbours along axes 0 to 2
 * offset  where x's first element comes to lie in out
 * size    of out;  code: what is written around, the zero point for 0
 *
 * Reentrant; libc: memcpy, memset.
 */
#ifndef TK_PAD_S8_H
#define TK_PAD_S8_H

#include <stdint.h>

typedef struct {
    int32_t shape[4];
    int32_t stride[3];
    int32_t offset;
    int32_t size;
    int32_t code;
} tk_pad_s8_params;

void tk_pad_s8(const tk_pad_s8_params *p, const int8_t *x, int8_t *out);

#endif
