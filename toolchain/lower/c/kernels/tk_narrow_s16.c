#include "tk_narrow_s16.h"

#include "tk_requantize_s16.h"

void tk_narrow_s16(const tk_narrow_s16_params *p, const void *x, void *out) {
    const int16_t *wide = x;
    int8_t *codes = out;
    for (int32_t i = 0; i < p->size; i++) {
        int32_t scaled = tk_requantize(wide[i], p->multiplier, p->shift);
        codes[i] = tk_code_s8(scaled, p->zero_point, p->low, p->high);
    }
}
