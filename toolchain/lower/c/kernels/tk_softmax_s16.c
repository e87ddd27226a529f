#include "tk_softmax_s16.h"

#include "tk_fixed_point.h"
#include "tk_requantize_s16.h"

static int32_t look_up(int32_t value, const int16_t *table) {
    const int32_t code = value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value;
    const int32_t index = 256 + (code >> 7), slope = table[index + 1] - table[index];
    return table[index] + ((slope * (code & 0x7F) + 64) >> 7);
}

static int32_t largest_of(const int16_t *x, int32_t depth) {
    int32_t largest = x[0];
    for (int32_t i = 1; i < depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

static void softmax_row(const tk_softmax_s16_params *p, const int16_t *x, int16_t *out) {
    const int32_t largest = largest_of(x, p->depth);
    uint32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        int32_t power = look_up(tk_requantize(x[i] - largest, p->multiplier, p->shift) + 32767, p->exp);
        out[i] = (int16_t)power;
        sum += (uint32_t)power;
    }
    const int32_t headroom = tk_leading_zeros(sum), right = 31 - headroom;
    const int32_t shifted = (int32_t)(((sum << (headroom - 1)) + (1 << 13)) >> 14);
    const int32_t inverse = look_up(shifted - (1 << 15) - (1 << 16), p->reciprocal);
    for (int32_t i = 0; i < p->depth; i++) {
        out[i] = tk_code_s16((out[i] * inverse + (1 << (right - 1))) >> right, 0, INT16_MAX);
    }
}

void tk_softmax_s16(const tk_softmax_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t row = 0; row < p->rows; row++) {
        softmax_row(p, values + row * p->depth, codes + row * p->depth);
    }
}
