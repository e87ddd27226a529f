/* tk_pool2d_four_s8_dsp.h - the windows of pools, four channels at a time; the last four may be done twice in
 * part.
 *
 * x, out, parameters: tk_pool2d_s8.h, with 4 channels or more. An output pixel may not overlap its window.
 * Reentrant; no libc.
 */
#ifndef TK_POOL2D_FOUR_S8_DSP_H
#define TK_POOL2D_FOUR_S8_DSP_H

#include "tk_pool2d_s8.h"

/* Four channels of one window, from their first code at x. */
typedef void tk_pool_four_s8(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns,
                             int8_t *out);

static inline void tk_pool2d_four_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, tk_pool_four_s8 *four,
                                         int8_t *out) {
    for (int32_t row = 0; row < p->output_height; row++) {
        for (int32_t column = 0; column < p->output_width; column++) {
            const tk_pool2d_window at = tk_pool2d_window_at(p, row, column);
            const int8_t *first = x + (at.top * p->input_width + at.left) * p->channels;
            for (int32_t done = 0; done < p->channels; done += 4) {
                const int32_t channel = done + 4 <= p->channels ? done : p->channels - 4;
                four(p, first + channel, at.bottom - at.top, at.right - at.left, out + channel);
            }
            out += p->channels;
        }
    }
}

#endif
