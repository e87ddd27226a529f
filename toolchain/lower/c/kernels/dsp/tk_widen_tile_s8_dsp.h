/* tk_widen_tile_s8_dsp.h - three runs of int8 values as words of two int16, interleaved; row after row.
 *
 *   words[row][k][i] = the k-th two values of run i
 *
 * x      three runs of `bytes` int8 at any address, the next row's `pitch` bytes further; at least one row
 * words  [rows][(bytes + 1) / 2][3], aligned to 4
 * returns the word after the last
 *
 * Of four values the first two words hold numbers 0 and 2, then 1 and 3; of what is left over at the end two
 * values make a word, and a last one makes a word whose high half is arbitrary. 13 instructions for 12
 * values. Reentrant; libc: memcpy.
 */
#ifndef TK_WIDEN_TILE_S8_DSP_H
#define TK_WIDEN_TILE_S8_DSP_H

#include <stdint.h>

uint32_t *tk_widen_tile_s8_dsp(const int8_t *const x[3], int32_t bytes, uint32_t *words,
                               int32_t rows, int32_t pitch);

#endif
