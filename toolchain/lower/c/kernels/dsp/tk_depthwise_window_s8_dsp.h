/* tk_depthwise_window_s8_dsp.h - depthwise convolution with a window of any size; codes are low to high.
 *
 * record of an output channel: weight [kernel_rows][kernel_columns], its shift and the code that is added,
 * see tk_depthwise_scale_s8 in tk_depthwise_s8_dsp.h. Its weights are spread in scratch, behind the planes,
 * as pairs (0, 1), (2, 3) .. of a window row; with a dilation in columns as (0, nothing), (1, nothing) ..
 * Four output columns at a time: planes are as wide as a multiple of four columns and whole pairs ask.
 *
 * x, out, scratch, overlap: tk_depthwise_s8_dsp.h. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_WINDOW_S8_DSP_H
#define TK_DEPTHWISE_WINDOW_S8_DSP_H

#include "tk_depthwise_s8_dsp.h"
#include "tk_dsp.h"

void tk_depthwise_window_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                                int8_t *out);

static inline int8_t tk_depthwise_code_s8(const tk_depthwise_plane_s8 *plane, int32_t sum) {
    const int32_t offset = plane->offset + (plane->mask & sum >> 31);
    const int32_t value = tk_smmla(sum, plane->multiplier, offset) >> plane->shift;
    return (int8_t)(value < plane->low ? plane->low : value > plane->high ? plane->high : value);
}

/* The codes of four columns, or of as many as are left. */
static inline void tk_depthwise_put_s8(tk_depthwise_plane_s8 *plane, const int32_t *sums, int32_t left) {
    for (int32_t i = 0; i < 4 && i < left; i++) {
        *plane->out = tk_depthwise_code_s8(plane, sums[i]);
        plane->out += plane->step;
    }
}

#endif
