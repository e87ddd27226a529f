/* tk_norm.h - by what the codes are divided that are normalized together.
 *
 *   y = (count * q - sum) / sqrt(count * squares - sum * sum + epsilon)      `fraction` fraction bits
 *
 * count    of the codes q, at most 2^22;  sum, squares: theirs, exact
 * spread   epsilon in squared steps, times 2^lift; below 2^62, as the variance is with `lift` more bits
 * lift     even; below 0, the variance is shifted to the right
 *
 * Constants by toolchain.runtime.norm_int8, which defines the arithmetic. 1 / sqrt by four Newton-Raphson
 * steps. Reentrant; no memory, no libc.
 */
#ifndef TK_NORM_H
#define TK_NORM_H

#include <stdint.h>

typedef struct {
    int32_t count;
    int64_t spread;
    int32_t lift;
    int32_t fraction;
} tk_norm_params;

/* y = (count * q - sum) * factor / 2^shift;  factor in [2^30, 2^31 + 1], shift in [0, 63] */
typedef struct {
    int32_t sum;
    int64_t factor;
    int32_t shift;
} tk_norm;

/* (r, half) with 1 / sqrt(value) = r * 2^(half - 62); value in [1, 2^62). r' = r * (3 - z * r * r) / 2. */
static inline int64_t tk_reciprocal_sqrt(uint64_t value, int32_t *half) {
    uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value;
    *half = 0;
    if (high == 0) {
        high = low;
        low = 0;
        *half = 16;
    }
    for (; high < 1u << 30; low <<= 2) {
        high = high << 2 | low >> 30;
        ++*half;
    }
    const uint64_t z = high;
    uint64_t r = 2290047081u - (1308598332u * z >> 32);
    for (int32_t step = 0; step < 4; step++) {
        uint64_t product = z * (r * r >> 32) >> 32;
        r = r * (((uint64_t)3 << 28) - product) >> 29;
    }
    return (int64_t)r;
}

static inline tk_norm tk_norm_of(const tk_norm_params *p, int32_t sum, int64_t squares) {
    const int64_t variance = p->count * squares - (int64_t)sum * sum;
    const int64_t lifted = p->lift >= 0    ? variance << p->lift
                           : p->lift > -63 ? variance >> -p->lift
                                           : 0;
    const int64_t spread = lifted + p->spread;
    int32_t half;
    const int64_t factor = tk_reciprocal_sqrt(spread < 1 ? 1 : (uint64_t)spread, &half);
    const int32_t shift = 62 - half - p->lift / 2 - p->fraction;
    tk_norm found = {.sum = sum, .factor = factor, .shift = shift < 0 ? 0 : shift > 63 ? 63 : shift};
    return found;
}

#endif
