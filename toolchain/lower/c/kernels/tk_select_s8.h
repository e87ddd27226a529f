/* tk_select_s8.h - from one of two operands, as a condition says.
 *
 *   out = condition ? a : b
 *
 * condition, a, b  what out[i][j][k][l] is made of lies at i * stride[0] + j * stride[1] + k * stride[2] +
 *                  l * stride[3] from the start of each; a stride of 0 repeats
 * condition  bytes, 0 is false;  a, b  int8
 * out  [shape[0]][shape[1]][shape[2]][shape[3]]  int8, same scale and zero point as a and b; may be one of
 *      the three where their elements coincide
 * Reentrant; no memory, no libc.
 */
#ifndef TK_SELECT_S8_H
#define TK_SELECT_S8_H

#include <stdint.h>

typedef struct {
    int32_t shape[4];
    int32_t condition_stride[4];
    int32_t a_stride[4];
    int32_t b_stride[4];
} tk_select_s8_params;

void tk_select_s8(const tk_select_s8_params *p, const void *condition, const int8_t *a, const int8_t *b,
                  int8_t *out);

#endif
