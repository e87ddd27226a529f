#include "tk_select_s8.h"

static int32_t place(const int32_t *stride, int32_t i, int32_t j, int32_t k) {
    return i * stride[0] + j * stride[1] + k * stride[2];
}

static void select_row(const tk_select_s8_params *p, const uint8_t *condition, const int8_t *a,
                       const int8_t *b, int8_t *out) {
    for (int32_t l = 0; l < p->shape[3]; l++) {
        out[l] = condition[l * p->condition_stride[3]] ? a[l * p->a_stride[3]] : b[l * p->b_stride[3]];
    }
}

void tk_select_s8(const tk_select_s8_params *p, const void *condition, const int8_t *a, const int8_t *b,
                  int8_t *out) {
    const uint8_t *truth = condition;
    for (int32_t i = 0; i < p->shape[0]; i++) {
        for (int32_t j = 0; j < p->shape[1]; j++) {
            for (int32_t k = 0; k < p->shape[2]; k++) {
                select_row(p, truth + place(p->condition_stride, i, j, k), a + place(p->a_stride, i, j, k),
                           b + place(p->b_stride, i, j, k), out);
                out += p->shape[3];
            }
        }
    }
}
