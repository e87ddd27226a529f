#include "tk_reduce_max_s8.h"

static int above(int8_t code, int8_t best) {
    return code > best;
}

void tk_reduce_max_s8(const tk_extreme_s8_params *restrict p, const int8_t *x, int8_t *out) {
    tk_extreme_s8(p, x, above, out);
}
