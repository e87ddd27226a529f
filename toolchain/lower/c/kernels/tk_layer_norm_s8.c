#include "tk_layer_norm_s8.h"

/* y = (count * q - sum) * factor / 2^shift */
typedef struct {
    int32_t sum;
    int64_t factor;
    int32_t shift;
} norm;

/* (r, half) with 1 / sqrt(value) = r * 2^(half - 62); value in [1, 2^62). r' = r * (3 - z * r * r) / 2. */
static int64_t reciprocal_sqrt(uint64_t value, int32_t *half) {
    *half = 0;
    for (int32_t step = 32; step > 1; step /= 2) {
        if (value < (uint64_t)1 << (64 - step)) {
            value <<= step;
            *half += step / 2;
        }
    }
    const uint64_t z = value >> 32;
    uint64_t r = 2290047081u - (1308598332u * z >> 32);
    for (int32_t step = 0; step < 4; step++) {
        uint64_t product = z * (r * r >> 32) >> 32;
        r = r * (((uint64_t)3 << 28) - product) >> 29;
    }
    return (int64_t)r;
}

static norm norm_of(const tk_layer_norm_s8_params *p, int32_t sum, int64_t squares) {
    const int64_t variance = p->count * squares - (int64_t)sum * sum;
    const int64_t lifted = p->lift >= 0    ? variance << p->lift
                           : p->lift > -63 ? variance >> -p->lift
                                           : 0;
    const int64_t spread = lifted + p->spread;
    int32_t half;
    const int64_t factor = reciprocal_sqrt(spread < 1 ? 1 : (uint64_t)spread, &half);
    const int32_t shift = 62 - half - p->lift / 2 - p->fraction;
    norm found = {.sum = sum, .factor = factor, .shift = shift < 0 ? 0 : shift > 63 ? 63 : shift};
    return found;
}

static norm measured(const tk_layer_norm_s8_params *p, const int8_t *x) {
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
    return norm_of(p, sum, squares);
}

static int8_t normalized(const tk_layer_norm_s8_params *p, norm by, int32_t code, int32_t at) {
    const int64_t y = (p->count * code - by.sum) * by.factor >> by.shift;
    const int64_t steps = (y * p->gain[at] >> p->gain_shift) + p->offset[at];
    const int64_t value = (steps + (1 << 15)) >> 16;
    return (int8_t)(p->zero_point + (value < p->low ? p->low : value > p->high ? p->high : (int32_t)value));
}

static void together(const tk_layer_norm_s8_params *p, const int8_t *x, int32_t gain, int8_t *out) {
    const norm by = measured(p, x);
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
