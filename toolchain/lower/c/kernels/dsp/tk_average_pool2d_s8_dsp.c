#include "tk_average_pool2d_s8_dsp.h"

#include "tk_pixel_sums_s8_dsp.h"

static void four_means(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns,
                       int8_t *out) {
    const int32_t count = rows * columns;
    tk_pixel_sums_s8 sums = {0, 0};
    for (; rows > 0; rows--) {
        sums = tk_pixel_sums_s8_dsp(sums, x, p->channels, columns);
        x += p->input_width * p->channels;
    }
    for (int32_t i = 0; i < 4; i++) {
        const int32_t sum = tk_pixel_sum_s8(sums, i);
        const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
        out[i] = (int8_t)(mean < p->low ? p->low : mean > p->high ? p->high : mean);
    }
}

void tk_average_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    tk_pool2d_four_s8_dsp(p, x, four_means, out);
}
