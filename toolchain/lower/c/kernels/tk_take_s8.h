/* tk_take_s8.h - runs of codes from places that are known at build time: slice, gather, tile, mirror_pad,
 * resize_nearest.
 *
 *   out[i][j][k][..] = x[offset + rows[i] * stride[0] + columns[j] * stride[1] + cells[k] * stride[2] ..]
 *
 * x      int8
 * out    [size[0]][size[1]][size[2]][run]  int8, same scale and zero point; may not overlap x
 * index  [size[0] + size[1] + size[2]]     rows, columns and cells, one after the other
 * stride of an axis's unit and offset are in codes; run: how many follow one another in x and in out
 *
 * Reentrant; libc: memcpy.
 */
#ifndef TK_TAKE_S8_H
#define TK_TAKE_S8_H

#include <stdint.h>

typedef struct {
    int32_t size[3];
    int32_t stride[3];
    int32_t offset;
    int32_t run;
    const uint16_t *index;
} tk_take_s8_params;

void tk_take_s8(const tk_take_s8_params *p, const int8_t *x, int8_t *out);

#endif
