#include "tk_softmax_s8.h"

#include "tk_fixed_point.h"

void tk_softmax_s8(const tk_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    const int32_t *const exp = p->exp;
    for (int32_t left = p->rows; left > 0; left--) {
        const int8_t *const end = x + p->depth;
        int32_t largest = -128;
        for (const int8_t *code = x; code != end; code++) {
            largest = *code > largest ? *code : largest;
        }
        uint32_t sum = 0;
        for (const int8_t *code = x; code != end; code++) {
            sum += ((uint32_t)exp[largest - *code] + (1 << 11)) >> 12;
        }
        const int32_t headroom = tk_leading_zeros(sum), inverse = tk_reciprocal(sum, headroom);
        /* Of the share's 31 fraction bits 8 remain, one more for rounding; the sum has 12 integer bits. Both are
         * rounded, the product to its 31 bits and the share: half a step of each at once. */
        const int32_t right = headroom > 3 ? 12 - headroom + 31 - 9 : 31;
        const int64_t halves = ((int64_t)1 << (31 + right)) + (1 << 30);
        while (x != end) {
            const int64_t product = (int64_t)inverse * exp[largest - *x++];
            const int32_t steps = (int32_t)((product + halves) >> 32) >> right;
            *out++ = (int8_t)(steps < 255 ? steps - 128 : 127);
        }
    }
}
