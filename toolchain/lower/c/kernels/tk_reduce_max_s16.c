#include "tk_reduce_max_s16.h"

static int above(int16_t code, int16_t best) {
    return code > best;
}

void tk_reduce_max_s16(const tk_extreme_s16_params *restrict p, const void *x, void *out) {
    tk_extreme_s16(p, x, above, out);
}
