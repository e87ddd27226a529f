#include "tk_mean_s8_dsp.h"

#include "tk_pixel_sums_s8_dsp.h"
#include "tk_requantize.h"

/* Adds `count` pixels at x to `wide`; of `channels` of the four. */
static void add_line(const tk_mean_s8_params *p, const int8_t *x, int32_t channels, int32_t *wide) {
    const int32_t step = p->reduced_stride[2];
    for (int32_t left = p->reduced[2]; left > 0 && channels == 4; left -= TK_PIXEL_SUMS_MOST) {
        const int32_t count = left < TK_PIXEL_SUMS_MOST ? left : TK_PIXEL_SUMS_MOST;
        const tk_pixel_sums_s8 sums = tk_pixel_sums_s8_dsp((tk_pixel_sums_s8){0, 0}, x, step, count);
        for (int32_t i = 0; i < 4; i++) {
            wide[i] += tk_pixel_sum_s8(sums, i);
        }
        x += count * step;
    }
    for (int32_t i = 0; i < channels && channels < 4; i++) {
        for (int32_t j = 0; j < p->reduced[2]; j++) {
            wide[i] += x[i + j * step];
        }
    }
}

static void means(const tk_mean_s8_params *p, const int8_t *x, int32_t channels, int8_t *out) {
    int32_t wide[4] = {p->bias, p->bias, p->bias, p->bias};
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            add_line(p, x + i * p->reduced_stride[0] + j * p->reduced_stride[1], channels, wide);
        }
    }
    for (int32_t i = 0; i < channels; i++) {
        const int32_t scaled = tk_requantize(wide[i], p->multiplier, p->shift);
        out[i] = tk_code_s8(scaled, p->zero_point, p->low, p->high);
    }
}

void tk_mean_s8_dsp(const tk_mean_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            const int8_t *from = x + i * p->kept_stride[0] + j * p->kept_stride[1];
            for (int32_t k = 0; k < p->kept[2]; k += 4) {
                means(p, from + k, p->kept[2] - k < 4 ? p->kept[2] - k : 4, out + k);
            }
            out += p->kept[2];
        }
    }
}
