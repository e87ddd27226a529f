/* tk_pieces_s8_mve.h - copy or fill equal pieces of memory at even distances.
 *
 * to    piece i at to + i * to_step,     [run]  int8, written
 * from  piece i at from + i * from_step, [run]  int8, read; may not overlap `to`
 * run >= 1, count >= 0; steps of any sign. Nothing outside the pieces is read or written.
 * Reentrant; no libc.
 */
#ifndef TK_PIECES_S8_MVE_H
#define TK_PIECES_S8_MVE_H

#include <stdint.h>

typedef struct {
    int8_t *to;
    int32_t to_step;
    const int8_t *from;
    int32_t from_step;
    int32_t run;
    int32_t count;
} tk_pieces_s8_mve;

void tk_copy_pieces_s8_mve(const tk_pieces_s8_mve *pieces);

/* The same with every value `value`; from and from_step are not looked at. */
void tk_fill_pieces_s8_mve(const tk_pieces_s8_mve *pieces, int32_t value);

#endif
