#include "tk_widen_s16.h"

#include "tk_requantize_s16.h"

void tk_widen_s16(const tk_widen_s16_params *p, const void *x, void *out) {
    const int8_t *codes = x;
    int16_t *wide = out;
    for (int32_t i = 0; i < p->size; i++) {
        int32_t scaled = tk_requantize(codes[i] - p->zero_point, p->multiplier, p->shift);
        wide[i] = tk_code_s16(scaled, p->low, p->high);
    }
}
