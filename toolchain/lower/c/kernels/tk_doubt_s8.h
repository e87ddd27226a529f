/* tk_doubt_s8.h - how unsure a softmax over logits would be: ONE / doubt is the largest of its probabilities.
 *
 *   doubt = sum_i table[max - codes[i]], 0 beyond the table's end
 *
 * codes   [classes]  int8
 * table   [entries]  table[d] = round(65536 * exp(-d * scale / temperature)): ONE = 65536 first, then falling
 * classes 2 to 65535, so that the sum fits 32 bits; entries 1 to 256
 *
 * Source: Guo et al. 2017, eq. 9, on codes: toolchain/policy.py. Reentrant; no memory, no libc.
 */
#ifndef TK_DOUBT_S8_H
#define TK_DOUBT_S8_H

#include <stdint.h>

typedef struct {
    const int32_t *table;
    int32_t entries;
    int32_t classes;
} tk_doubt_s8_params;

uint32_t tk_doubt_s8(const tk_doubt_s8_params *p, const int8_t *codes);

#endif
