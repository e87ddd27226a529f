#include "tk_lookup_s8.h"

void tk_lookup_s8(const tk_lookup_s8_params *p, const void *x, void *out) {
    const uint8_t *code = x;
    uint8_t *result = out;
    for (int32_t i = 0; i < p->size; i++) {
        result[i] = p->table[code[i]];
    }
}
