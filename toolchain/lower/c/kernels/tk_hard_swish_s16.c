#include "tk_hard_swish_s16.h"

#include "tk_requantize_s16.h"

static int64_t gate(const tk_hard_swish_s16_params *p, int32_t code) {
    const int64_t raised = code * ((int64_t)1 << p->lift) + p->three;
    return raised < 0 ? 0 : raised > p->six ? p->six : raised;
}

void tk_hard_swish_s16(const tk_hard_swish_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t i = 0; i < p->size; i++) {
        int64_t scaled = tk_requantize_once(values[i] * gate(p, values[i]), p->multiplier, p->shift);
        codes[i] = tk_code_s16(scaled, INT16_MIN, INT16_MAX);
    }
}
