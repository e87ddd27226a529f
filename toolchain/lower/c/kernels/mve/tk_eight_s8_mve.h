/* tk_eight_s8_mve.h - the inner loop of tk_fully_connected_s8_mve.h: whole groups of eight channels.
 *
 * Operands as there; groups >= 1, depth >= 1. Reentrant; no libc.
 */
#ifndef TK_EIGHT_S8_MVE_H
#define TK_EIGHT_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int8_t *x;
    int32_t depth;
    int32_t groups;
    const int32_t *stream;
    int8_t *out;
    int32_t zero_point;
    int32_t low;
    int32_t high;
    int32_t exact;
} tk_eight_s8_mve_job;

void tk_eight_s8_mve(const tk_eight_s8_mve_job *job);

#endif
