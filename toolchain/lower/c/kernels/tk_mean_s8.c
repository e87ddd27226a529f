#include "tk_mean_s8.h"

#include "tk_requantize.h"

static int32_t sum_from(const tk_mean_s8_params *p, const int8_t *x) {
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

void tk_mean_s8(const tk_mean_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                const int8_t *from =
                    x + i * p->kept_stride[0] + j * p->kept_stride[1] + k * p->kept_stride[2];
                int32_t scaled = tk_requantize(sum_from(p, from) + p->bias, p->multiplier, p->shift);
                *out++ = tk_code_s8(scaled, p->zero_point, p->low, p->high);
            }
        }
    }
}
