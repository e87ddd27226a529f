/* tk_words_s8_mve.h - four rows of values side by side: what a depthwise kernel's windows are taken from.
 *
 *   to[i][c][r] = row[r][i * step[r] + c]     c < channels
 *
 * row[r]    int8; may all be the same; step 0 repeats
 * to        [count][16][4]  int8; what lies at c >= channels is 0
 * channels  1 to 16;  count >= 1. Reentrant; no libc.
 */
#ifndef TK_WORDS_S8_MVE_H
#define TK_WORDS_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int8_t *row[4];
    int32_t step[4];
    int8_t *to;
    int32_t count;
    int32_t channels;
} tk_words_s8_mve_job;

void tk_words_s8_mve(const tk_words_s8_mve_job *job);

#endif
