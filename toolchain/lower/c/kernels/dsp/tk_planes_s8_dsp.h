/* tk_planes_s8_dsp.h - lay a row of pixels of four channels out as a row of int16 for each channel.
 *
 *   to[channel][column + i] = 256 * x[i][channel]
 *
 * x       `count` pixels, `step` bytes from one to the next; four int8 each, at any address
 * to      four rows, `plane` bytes from one to the next: int16, at addresses that 4 divides, as it does plane
 * column  where in the rows
 *
 * tk_plane_s8_dsp does it for one channel. Reentrant; no libc.
 */
#ifndef TK_PLANES_S8_DSP_H
#define TK_PLANES_S8_DSP_H

#include <stdint.h>

void tk_planes_s8_dsp(const int8_t *x, int32_t step, int32_t count, int8_t *to, int32_t column,
                      int32_t plane);

static inline void tk_plane_s8_dsp(const int8_t *x, int32_t step, int32_t count, int8_t *to, int32_t column) {
    int16_t *row = (void *)to;
    for (int32_t i = 0; i < count; i++) {
        row[column + i] = (int16_t)(x[i * step] * 256);
    }
}

#endif
