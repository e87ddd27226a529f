#include "tk_prelu_s8.h"

static int32_t combine(const tk_binary_s8_params *restrict p, int32_t a, int32_t b) {
    return tk_limited_s8(p, a >= 0 ? tk_requantize(a, p->a_multiplier, p->a_shift)
                                   : tk_requantize(a * b, p->b_multiplier, p->b_shift));
}

void tk_prelu_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out) {
    tk_binary_s8(p, a, b, combine, out);
}
