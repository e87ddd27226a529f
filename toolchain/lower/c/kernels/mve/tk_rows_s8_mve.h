/* tk_rows_s8_mve.h - any number of pixels and channels by tk_pairs_s8_mve.h.
 *
 * x       pixel i at x + i * x_step, [depth]        int8
 * out     pixel i at out + i * out_step, [channels]  int8
 * stream  of ceil(channels / 4) groups, the last filled up with zeros
 *
 * Pixels are taken in the order of i, two at a time; steps may be below 0. Outputs may lie over pixels of
 * pairs that are done. Parameters as in tk_pairs_s8_mve.h. Reentrant; no libc.
 */
#ifndef TK_ROWS_S8_MVE_H
#define TK_ROWS_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int32_t *stream;
    int32_t depth;
    int16_t channels;
    int8_t zero_point;
    int8_t low;
    int8_t high;
    int8_t exact;
} tk_rows_s8_mve_params;

void tk_rows_s8_mve(const tk_rows_s8_mve_params *p, const int8_t *x, int32_t x_step, int8_t *out,
                    int32_t out_step, int32_t rows);

#endif
