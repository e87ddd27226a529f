#include "tk_doubt_s8.h"

uint32_t tk_doubt_s8(const tk_doubt_s8_params *p, const int8_t *codes) {
    int32_t most = codes[0];
    for (int32_t i = 1; i < p->classes; i++) {
        most = codes[i] > most ? codes[i] : most;
    }
    uint32_t doubt = 0;
    for (int32_t i = 0; i < p->classes; i++) {
        int32_t distance = most - codes[i];
        doubt += distance < p->entries ? (uint32_t)p->table[distance] : 0u;
    }
    return doubt;
}
