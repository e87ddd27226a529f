/* tk_planes_s8_dsp.h - lay rows of pixels of four channels out as rows of int16 for each channel.
 *
 *   to[channel][row][column + i] = 256 * x[row][i][channel]
 *
 * x       rows of `count` pixels; row_step and step: bytes from one to the next; four int8 each, at any
 * address to      int16, plane and pitch bytes from one channel and row to the next; its address and they are
 * multiples
 *         of 4. Columns are written in pairs: what lies beside an odd row's ends becomes padding
 * padding what stands beside a row: the code, four times
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_PLANES_S8_DSP_H
#define TK_PLANES_S8_DSP_H

#include <stdint.h>

typedef struct {
    int32_t row_step;
    int32_t step;
    int32_t count;
    int32_t column;
    int32_t pitch;
    int32_t plane;
    uint32_t padding;
} tk_planes_s8;

void tk_planes_s8_dsp(const tk_planes_s8 *p, const int8_t *x, int32_t rows, int8_t *to);

#endif
