/* tk_widen_row_s8_dsp.h - a run of int8 values as words of two int16.
 *
 * x      [bytes] int8 at any address
 * words  (bytes + 1) / 2 of them, `step` words apart; values in the order of tk_widen_tile_s8_dsp.h
 * returns the word after the last
 *
 * Reentrant; libc: memcpy.
 */
#ifndef TK_WIDEN_ROW_S8_DSP_H
#define TK_WIDEN_ROW_S8_DSP_H

#include <stdint.h>

uint32_t *tk_widen_row_s8_dsp(const int8_t *x, int32_t bytes, uint32_t *words, int32_t step);

#endif
