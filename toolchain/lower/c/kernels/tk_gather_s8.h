/* tk_gather_s8.h - rows by indices that are known when they come in: an embedding.
 *
 *   out[i][j][..] = x[i][index[j]][..]
 *
 * x      [rows][size][run]   int8
 * index  [count]  int32, aligned to 4; one below 0 is taken as 0, one past the end as size - 1
 * out    [rows][count][run]  int8, same scale and zero point; may not overlap x or index
 *
 * Reentrant; libc: memcpy.
 */
#ifndef TK_GATHER_S8_H
#define TK_GATHER_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t size;
    int32_t run;
    int32_t count;
} tk_gather_s8_params;

void tk_gather_s8(const tk_gather_s8_params *p, const int8_t *x, const void *index, int8_t *out);

#endif
