#include "tk_div_s8.h"

#include "tk_fixed_point.h"

/* How far a value can be shifted to the left before its sign changes: 31 for 0 and -1. */
static int32_t headroom_of(int32_t value) {
    const uint32_t bits = (uint32_t)(value < 0 ? ~value : value);
    return bits == 0 ? 31 : tk_leading_zeros(bits) - 1;
}

static int32_t shift_right_rounding(int32_t value, int32_t exponent) {
    if (exponent > 31) {
        return 0;
    }
    if (exponent >= 0) {
        return tk_divide_by_power_of_two(value, exponent);
    }
    const int64_t shifted = (int64_t)value * ((int64_t)1 << (exponent < -31 ? 31 : -exponent));
    return shifted > INT32_MAX ? INT32_MAX : shifted < -INT32_MAX ? -INT32_MAX : (int32_t)shifted;
}

/* a / b for b > 0; a takes all bits before it is multiplied. */
static int32_t quotient(const tk_binary_s8_params *restrict p, int32_t a, int32_t b) {
    const int32_t zeros = tk_leading_zeros((uint32_t)b), headroom = headroom_of(a);
    const int32_t inverse = tk_reciprocal((uint32_t)b, zeros);
    const int32_t shifted = (int32_t)((uint32_t)a << headroom);
    const int32_t scaled = tk_doubling_high_mul(tk_doubling_high_mul(shifted, inverse), p->a_multiplier);
    return shift_right_rounding(scaled, 31 - zeros + headroom - p->a_shift);
}

static int32_t combine(const tk_binary_s8_params *restrict p, int32_t a, int32_t b) {
    if (b == 0) {
        return a > 0 ? p->high : a < 0 ? p->low : tk_limited_s8(p, 0);
    }
    return tk_limited_s8(p, b > 0 ? quotient(p, a, b) : quotient(p, -a, -b));
}

void tk_div_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out) {
    tk_binary_s8(p, a, b, combine, out);
}
