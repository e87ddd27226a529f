#include "tk_gather_s8.h"

#include <string.h>

static int32_t within(int32_t index, int32_t size) {
    return index < 0 ? 0 : index < size ? index : size - 1;
}

void tk_gather_s8(const tk_gather_s8_params *p, const int8_t *x, const void *index, int8_t *out) {
    const int32_t *wanted = index;
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t i = 0; i < p->count; i++) {
            memcpy(out, x + within(wanted[i], p->size) * p->run, (size_t)p->run);
            out += p->run;
        }
        x += p->size * p->run;
    }
}
