#include "tk_mul_s8.h"

static int32_t combine(const tk_binary_s8_params *restrict p, int32_t a, int32_t b) {
    (void)p;
    return a * b;
}

void tk_mul_s8(const tk_binary_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out) {
    tk_binary_s8(p, a, b, combine, out);
}
