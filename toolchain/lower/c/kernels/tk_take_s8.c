#include "tk_take_s8.h"

#include <string.h>

void tk_take_s8(const tk_take_s8_params *p, const int8_t *x, int8_t *out) {
    const uint16_t *rows = p->index, *columns = rows + p->size[0], *cells = columns + p->size[1];
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            const int8_t *from = x + p->offset + rows[i] * p->stride[0] + columns[j] * p->stride[1];
            for (int32_t k = 0; k < p->size[2]; k++) {
                memcpy(out, from + cells[k] * p->stride[2], (size_t)p->run);
                out += p->run;
            }
        }
    }
}
