#include "tk_depthwise3x3_spread_s8_dsp.h"

#include "tk_dsp.h"

void tk_depthwise3x3_spread_s8_dsp(const int8_t *record, tk_depthwise_plane_s8 *plane) {
    for (int32_t row = 0; row < 3; row++) {
        const uint32_t bytes = tk_word(record + 4 * row), first = tk_sxtb16(bytes);
        plane->weight[2 * row] = first;
        plane->weight[2 * row + 1] = tk_high_halves(first, tk_sxtb16_odd(bytes));
    }
    tk_depthwise_scale_s8(plane, record[1], record[5]);
}
