#include "tk_minimum_s16.h"

static int16_t smaller(int16_t a, int16_t b) {
    return a < b ? a : b;
}

void tk_minimum_s16(const tk_pair_s16_params *restrict p, const void *a, const void *b, void *out) {
    tk_pair_s16(p, a, b, smaller, out);
}
