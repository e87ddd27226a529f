/* tk_fetch.h - a slice of a larger constant array, in one piece.
 *
 * from  rows at distances of row_step bytes; in each, parts at distances of part_step
 * out   [rows][parts][run]  bytes: the first `run` of each part; aligned to 4
 * words whether both hold int32_t, so that all sizes are multiples of 4
 *
 * All steps are at least what they step over. Reentrant; libc: memcpy, of four bytes, which compilers inline.
 */
#ifndef TK_FETCH_H
#define TK_FETCH_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t parts;
    int32_t run;
    int32_t row_step;
    int32_t part_step;
    int32_t words;
} tk_fetch_params;

void tk_fetch(const tk_fetch_params *p, const void *from, int8_t *out);

#endif
