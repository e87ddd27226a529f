#include "tk_maximum_s8.h"

static int8_t larger(int8_t a, int8_t b) {
    return a > b ? a : b;
}

void tk_maximum_s8(const tk_pair_s8_params *restrict p, const int8_t *a, const int8_t *b, int8_t *out) {
    tk_pair_s8(p, a, b, larger, out);
}
