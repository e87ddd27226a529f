#include "tk_layer_norm_s8.h"

static tk_norm measured(const tk_layer_norm_s8_params *p, const int8_t *x) {
    int32_t sum = 0;
    int64_t squares = 0;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            const int8_t *from = x + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                int32_t code = from[k * p->reduced_stride[2]];
                sum += code;
                squares += code * code;
            }
        }
    }
    return tk_norm_of(&p->norm, sum, squares);
}

static int8_t normalized(const tk_layer_norm_s8_params *p, tk_norm by, int32_t code, int32_t at) {
    const int64_t y = (p->norm.count * code - by.sum) * by.factor >> by.shift;
    const int64_t steps = (y * p->gain[at] >> p->gain_shift) + p->offset[at];
    const int64_t value = (steps + (1 << 15)) >> 16;
    return (int8_t)(p->zero_point + (value < p->low ? p->low : value > p->high ? p->high : (int32_t)value));
}

static void together(const tk_layer_norm_s8_params *p, const int8_t *x, int32_t gain, int8_t *out) {
    const tk_norm by = measured(p, x);
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            const int32_t start = i * p->reduced_stride[0] + j * p->reduced_stride[1];
            const int32_t at = gain + i * p->reduced_gain[0] + j * p->reduced_gain[1];
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                const int32_t place = start + k * p->reduced_stride[2];
                out[place] = normalized(p, by, x[place], at + k * p->reduced_gain[2]);
            }
        }
    }
}

void tk_layer_norm_s8(const tk_layer_norm_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                const int32_t start = i * p->kept_stride[0] + j * p->kept_stride[1] + k * p->kept_stride[2];
                const int32_t gain = i * p->kept_gain[0] + j * p->kept_gain[1] + k * p->kept_gain[2];
                together(p, x + start, gain, out + start);
            }
        }
    }
}
