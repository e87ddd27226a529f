/* tk_mul_s8_dsp.h - elementwise product of codes.
 *
 *   out = clamp(tk_output_s8_dsp(2 * (a - a_zero_point) * (b - b_zero_point)))
 *
 * a, b, out, overlap, low, high: as in tk_weighted_sum_s8.h. scale: record of tk_output_s8_dsp.h.
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_MUL_S8_DSP_H
#define TK_MUL_S8_DSP_H

#include "tk_output_s8_dsp.h"

typedef struct {
    int32_t rows;
    int32_t size;
    int32_t a_step;
    int32_t b_step;
    int32_t a_zero_point;
    int32_t b_zero_point;
    int32_t scale[3];
    int32_t low;
    int32_t high;
} tk_mul_s8_dsp_params;

void tk_mul_s8_dsp(const tk_mul_s8_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
