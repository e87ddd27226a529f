#include "tk_average_pool2d_s8_dsp.h"

#include "tk_pixel_sums_s8_dsp.h"
#include "tk_pool2d_windows_s8_dsp.h"

/* sum / count, rounded half away from zero, within the output's codes */
static inline int8_t mean_of(const tk_pool2d_s8_params *p, int32_t sum, int32_t count) {
    const int32_t half = count >> 1, mean = (sum > 0 ? sum + half : sum - half) / count;
    return (int8_t)(mean < p->low ? p->low : mean > p->high ? p->high : mean);
}

static void means(const tk_pool2d_s8_params *p, const int8_t *x, int32_t rows, int32_t columns, int8_t *out) {
    const int32_t count = rows * columns, step = p->channels;
    for (int32_t done = 0; done < step; done += 4) {
        const int32_t channel = tk_pool2d_four_s8(step, done);
        const int8_t *from = x + channel;
        tk_pixel_sums_s8 sums = {0, 0};
        for (int32_t left = rows; left > 0; left--, from += p->input_width * step) {
            sums = tk_pixel_sums_s8_dsp(sums, from, step, columns);
        }
        out[channel] = mean_of(p, tk_low(sums.even), count);
        out[channel + 1] = mean_of(p, tk_low(sums.odd), count);
        out[channel + 2] = mean_of(p, tk_high(sums.even), count);
        out[channel + 3] = mean_of(p, tk_high(sums.odd), count);
    }
}

void tk_average_pool2d_s8_dsp(const tk_pool2d_s8_params *p, const int8_t *x, int8_t *out) {
    tk_pool2d_windows_s8_dsp(p, x, means, out);
}
