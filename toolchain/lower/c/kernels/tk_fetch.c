#include "tk_fetch.h"

#include <string.h>

typedef struct {
    int32_t word[4];
} four;

typedef struct {
    int32_t word[2];
} two;

/* Compilers move several words with two instructions where they know them aligned. */
static void fetch_words(const tk_fetch_params *p, const int32_t *from, int32_t *out) {
    const int32_t run = p->run / 4, fours = run & ~3, parts = p->parts;
    const int32_t part_step = p->part_step / 4, row_step = p->row_step / 4;
    for (int32_t i = 0; i < p->rows; i++) {
        const int32_t *part = from;
        for (int32_t j = 0; j < parts; j++) {
            const int32_t *x = part;
            for (const int32_t *end = x + fours; x != end; x += 4) {
                *(four *)(void *)out = *(const four *)(const void *)x;
                out += 4;
            }
            if (run & 2) {
                *(two *)(void *)out = *(const two *)(const void *)x;
                out += 2;
                x += 2;
            }
            if (run & 1) {
                *out++ = *x;
            }
            part += part_step;
        }
        from += row_step;
    }
}

static void fetch_codes(const tk_fetch_params *p, const int8_t *from, int8_t *out) {
    const int32_t run = p->run;
    for (int32_t i = 0; i < p->rows; i++) {
        const int8_t *x = from + i * p->row_step;
        for (int32_t j = 0; j < p->parts; j++) {
            int32_t k = 0;
            for (; k + 4 <= run; k += 4) {
                memcpy(out + k, x + k, 4);
            }
            for (; k < run; k++) {
                out[k] = x[k];
            }
            x += p->part_step;
            out += run;
        }
    }
}

void tk_fetch(const tk_fetch_params *p, const void *from, int8_t *out) {
    if (p->words) {
        fetch_words(p, from, (int32_t *)(void *)out);
    } else {
        fetch_codes(p, from, out);
    }
}
