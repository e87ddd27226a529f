#include "tk_logits_s16.h"

void tk_logits_s16(const tk_logits_s16_params *p, const int8_t *codes, int16_t *out) {
    for (int32_t i = 0; i < p->classes; i++) {
        out[i] = (int16_t)(p->multiplier * (codes[i] - p->zero_point));
    }
}
