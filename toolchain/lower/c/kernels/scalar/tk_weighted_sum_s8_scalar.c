#include "tk_weighted_sum_s8_scalar.h"

void tk_weighted_sum_s8_scalar(const tk_weighted_sum_s8_params *p, const int8_t *a, const int8_t *b,
                               int8_t *out) {
    const int32_t a_weight = p->a_weight, b_weight = p->b_weight, low = p->low, high = p->high;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->size; i++) {
            int32_t code = (a[i] * a_weight + p->offset + b[i] * b_weight) >> 21;
            out[i] = (int8_t)(code < low ? low : code > high ? high : code);
        }
        a += p->a_step;
        b += p->b_step;
        out += p->size;
    }
}
