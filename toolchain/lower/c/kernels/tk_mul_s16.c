#include "tk_mul_s16.h"

static int32_t combine(const tk_binary_s16_params *restrict p, int32_t a, int32_t b) {
    (void)p;
    return a * b;
}

void tk_mul_s16(const tk_binary_s16_params *restrict p, const void *a, const void *b, void *out) {
    tk_binary_s16(p, a, b, combine, out);
}
