#include "tk_layer_norm_rows_s8.h"

static tk_norm measured(const tk_norm_params *p, const int8_t *x) {
    int32_t sum = 0, squares = 0;
    for (int32_t i = 0; i < p->count; i++) {
        const int32_t code = x[i];
        sum += code;
        squares += code * code;
    }
    return tk_norm_of(p, sum, squares);
}

/* value / 2^shift, rounded down, which fits 32 bits. shift in [0, 63] */
static inline int32_t shifted(int64_t value, int32_t shift) {
    const int32_t high = (int32_t)(value >> 32);
    if (shift >= 32) {
        return high >> (shift - 32);
    }
    return shift == 0 ? (int32_t)value : (int32_t)((uint32_t)value >> shift | (uint32_t)high << (32 - shift));
}

static void one_row(const tk_layer_norm_rows_s8_params *p, const int8_t *x, int8_t *out) {
    const tk_norm by = measured(&p->norm, x);
    const int32_t count = p->norm.count, beyond = (int32_t)(by.factor - ((int64_t)1 << 31));
    const int32_t low = p->low, high = p->high, gain_shift = p->gain_shift;
    const int32_t *gain = p->gain, *offset = p->offset;
    for (int32_t left = count; left > 0; left--) {
        const int32_t centred = count * *x++ - by.sum;
        const int32_t y = shifted((int64_t)centred * beyond + (int64_t)centred * ((int64_t)1 << 31), by.shift);
        const int32_t code = (shifted((int64_t)y * *gain++, gain_shift) + *offset++) >> 16;
        *out++ = (int8_t)(code < low ? low : code > high ? high : code);
    }
}

void tk_layer_norm_rows_s8(const tk_layer_norm_rows_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        one_row(p, x, out);
        x += p->norm.count;
        out += p->norm.count;
    }
}
