#include "tk_logistic_s16.h"

void tk_logistic_s16(const tk_sigmoid_s16_params *p, const void *x, void *out) {
    const int16_t *values = x;
    int16_t *codes = out;
    for (int32_t i = 0; i < p->size; i++) {
        const int64_t at = tk_sigmoid_steps(p, values[i]);
        const int32_t y = tk_sigmoid_between(p, at, 9, 0x7FFF << 10);
        codes[i] = (int16_t)((at >= 0 ? y + (1 << 9) : (1 << 25) - y + (1 << 9) - 1) >> 10);
    }
}
