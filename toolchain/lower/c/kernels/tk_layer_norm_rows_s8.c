#include "tk_layer_norm_rows_s8.h"

static tk_norm measured(const tk_norm_params *p, const int8_t *x) {
    int32_t sum = 0, squares = 0;
    for (const int8_t *const end = x + p->count; x != end;) {
        const int32_t code = *x++;
        sum += code;
        squares += code * code;
    }
    return tk_norm_of(p, sum, squares);
}

/* a * b / 2^32, rounded down */
static inline int32_t high_mul(int32_t a, int32_t b) {
    return (int32_t)((int64_t)a * b >> 32);
}

static inline int8_t clamped(int32_t code) {
    code = code < -128 ? -128 : code;
    code = code > 127 ? 127 : code;
    return (int8_t)code;
}

/* centred = (count * code - sum) * 2^(31 - shift), so that y = centred * factor / 2^31. It fits 32 bits, for
 * factor is at least 2^30 and y fits 31. */
static void one_row(const tk_layer_norm_rows_s8_params *p, const int8_t *x, int8_t *out) {
    const tk_norm by = measured(&p->norm, x);
    const uint32_t step = (uint32_t)p->norm.count << (31 - by.shift), sum = (uint32_t)by.sum << (31 - by.shift);
    const int32_t beyond = (int32_t)(2 * (by.factor - ((int64_t)1 << 31))), shift = p->gain_shift - 32;
    const int32_t *gain = p->gain, *offset = p->offset;
    for (const int8_t *const end = x + p->norm.count; x != end;) {
        const int32_t centred = (int32_t)((uint32_t)*x++ * step - sum);
        const int32_t steps = high_mul(centred + high_mul(centred, beyond), *gain++) >> shift;
        *out++ = clamped((steps + *offset++) >> 16);
    }
}

void tk_layer_norm_rows_s8(const tk_layer_norm_rows_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        one_row(p, x, out);
        x += p->norm.count;
        out += p->norm.count;
    }
}
