#include "tk_fetch.h"

#include <string.h>

static int8_t *copy(const int8_t *from, int32_t bytes, int8_t *out) {
    for (; bytes >= 16; bytes -= 16) {
        memcpy(out, from, 4);
        memcpy(out + 4, from + 4, 4);
        memcpy(out + 8, from + 8, 4);
        memcpy(out + 12, from + 12, 4);
        from += 16;
        out += 16;
    }
    for (; bytes >= 4; bytes -= 4) {
        memcpy(out, from, 4);
        from += 4;
        out += 4;
    }
    for (; bytes > 0; bytes--) {
        *out++ = *from++;
    }
    return out;
}

void tk_fetch(const tk_fetch_params *p, const void *from, int8_t *out) {
    const int8_t *row = from;
    for (int32_t i = 0; i < p->rows; i++) {
        const int8_t *part = row;
        for (int32_t j = 0; j < p->parts; j++) {
            out = copy(part, p->run, out);
            part += p->part_step;
        }
        row += p->row_step;
    }
}
