/* tk_pool2d_windows_s8_dsp.h - the windows of pools, one after the other.
 *
 * x, out, parameters: tk_pool2d_s8.h, with 4 channels or more. An output pixel may not overlap its window.
 * window  writes all channels of one output pixel: four at a time, of which the last may be done twice in part
 *
 * Reentrant; libc: what `window` uses.
 */
#ifndef TK_POOL2D_WINDOWS_S8_DSP_H
#define TK_POOL2D_WINDOWS_S8_DSP_H

#include "tk_pool2d_s8.h"

/* x: the window's first pixel; rows, columns: those on the input */
typedef void tk_pool2d_window_s8(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns,
                                 int8_t *out);

void tk_pool2d_windows_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool2d_window_s8 *window,
                              int8_t *out);

/* The first of the four channels that come when `done` are done. */
static inline int32_t tk_pool2d_four_s8(int32_t channels, int32_t done) {
    return done + 4 <= channels ? done : channels - 4;
}

#endif
