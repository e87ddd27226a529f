#include "tk_mean_s16.h"

#include "tk_requantize_s16.h"

static int32_t sum_from(const tk_mean_s16_params *p, const int16_t *x) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                sum += x[i * p->reduced_stride[0] + j * p->reduced_stride[1] + k * p->reduced_stride[2]];
            }
        }
    }
    return sum;
}

void tk_mean_s16(const tk_mean_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                const int16_t *from =
                    values + i * p->kept_stride[0] + j * p->kept_stride[1] + k * p->kept_stride[2];
                int32_t scaled = tk_requantize(sum_from(p, from), p->multiplier, p->shift);
                *codes++ = tk_code_s16(scaled, INT16_MIN, INT16_MAX);
            }
        }
    }
}
