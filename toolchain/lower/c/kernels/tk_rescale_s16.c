#include "tk_rescale_s16.h"

#include "tk_requantize_s16.h"

void tk_rescale_s16(const tk_rescale_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t i = 0; i < p->size; i++) {
        const int32_t value = values[i];
        int32_t scaled = value >= 0 ? tk_requantize(value, p->multiplier, p->shift)
                                    : p->sign * tk_requantize(value, p->below_multiplier, p->below_shift);
        codes[i] = tk_code_s16(scaled, p->low, p->high);
    }
}
