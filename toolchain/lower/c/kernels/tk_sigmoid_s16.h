/* tk_sigmoid_s16.h - the table that logistic and tanh of int16 codes are interpolated from.
 *
 * table       [256]  sigmoid(i / 24) in Q0.16
 * multiplier, shift  bring a code to steps of 1 / (3 * 2^12): round(code * multiplier / 2^shift), halves up
 *
 * Source: TensorFlow Lite reference/integer_ops/{logistic,tanh}.h; the table is toolchain.runtime's.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_SIGMOID_S16_H
#define TK_SIGMOID_S16_H

#include <stdint.h>

typedef struct {
    int32_t size;
    int32_t multiplier;
    int32_t shift;
    const uint16_t *table;
} tk_sigmoid_s16_params;

static inline int64_t tk_sigmoid_steps(const tk_sigmoid_s16_params *p, int16_t code) {
    return ((int64_t)code * p->multiplier + (((int64_t)1 << p->shift) >> 1)) >> p->shift;
}

/* The table at |x| / 2^bits, times 2^bits; `last` from its last entry on. bits is 8 or 9. */
static inline int32_t tk_sigmoid_between(const tk_sigmoid_s16_params *p, int64_t x, int32_t bits,
                                         int32_t last) {
    const int64_t magnitude = x < 0 ? -x : x;
    if (magnitude >> bits >= 255) {
        return last;
    }
    const int32_t index = (int32_t)(magnitude >> bits), rest = (int32_t)magnitude & ((1 << bits) - 1);
    return p->table[index] * (1 << bits) + rest * (p->table[index + 1] - p->table[index]);
}

#endif
