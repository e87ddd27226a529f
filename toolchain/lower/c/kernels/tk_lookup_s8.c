#include "tk_lookup_s8.h"

void tk_lookup_s8(const tk_lookup_s8_params *p, const void *x, void *out) {
    const uint8_t *code = x;
    uint8_t *result = out;
    const uint8_t *table = p->table;
    int32_t left = p->size;
    for (; left >= 4; left -= 4) {
        result[0] = table[code[0]];
        result[1] = table[code[1]];
        result[2] = table[code[2]];
        result[3] = table[code[3]];
        code += 4;
        result += 4;
    }
    for (; left > 0; left--) {
        *result++ = table[*code++];
    }
}
