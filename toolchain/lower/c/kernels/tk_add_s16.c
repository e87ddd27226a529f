#include "tk_add_s16.h"

static int32_t combine(const tk_binary_s16_params *restrict p, int32_t a, int32_t b) {
    return tk_common_scale_s16(a, p->a_multiplier, p->a_shift) +
           tk_common_scale_s16(b, p->b_multiplier, p->b_shift);
}

void tk_add_s16(const tk_binary_s16_params *restrict p, const void *a, const void *b, void *out) {
    tk_binary_s16(p, a, b, combine, out);
}
