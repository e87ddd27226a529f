/* tk_matrix_s16_dsp.h - one or three rows of int16 values times a constant int8 matrix, requantized.
 *
 *   out[i * channels + c] = tk_output_s16_dsp(c, bias[c] + sum over k of x[i][k] * weight of c and k)
 *
 * x        rows of [depth] int16
 * rows     1 or 3
 * out      [rows][channels] int16; may not overlap the rows
 * weight   for each two channels (depth + 1) / 2 words; a word: both channels' weights of value k, then
 *          those of value k + 1; zeros for what is not there: an odd channel's partner, the last k + 1
 * output   per channel, see tk_output_s16_dsp.h
 *
 * Every sum fits 32 bits. Reentrant; libc: memcpy.
 */
#ifndef TK_MATRIX_S16_DSP_H
#define TK_MATRIX_S16_DSP_H

#include "tk_output_s16_dsp.h"

typedef struct {
    int32_t channels;
    int32_t depth;
    const int32_t *weight;
    tk_output_s16_dsp_params output;
} tk_matrix_s16_dsp_params;

void tk_matrix_s16_dsp(const tk_matrix_s16_dsp_params *p, const int16_t *const x[], int32_t rows,
                       int16_t *out);

#endif
