/* tk_layer_norm_rows_s8.h - normalization of rows, where 32 bits hold what tk_layer_norm_s8.h has in 64.
 *
 *   y   = what tk_norm.h makes of a row's codes
 *   out = clamp((y * gain / 2^gain_shift + offset) / 2^16)      both rounded down, bit for bit the same; to int8
 *
 * x, out        [rows][norm.count] int8; out may be x
 * norm          count: at most 2^16, so that squares sum up within 32 bits; lift, fraction: so that no shift of
 *               tk_norm.h is above 31, and y fits 31 bits
 * gain          gamma in steps of the output, [norm.count];  gain_shift: in [32, 62]
 * offset        beta in steps of the output with 16 fraction bits, half a step for rounding and the output's
 *               zero point, [norm.count]; it plus any of the products fits 32 bits
 *
 * Reentrant; no memory, no libc.
 */
#ifndef TK_LAYER_NORM_ROWS_S8_H
#define TK_LAYER_NORM_ROWS_S8_H

#include "tk_norm.h"

typedef struct {
    int32_t rows;
    tk_norm_params norm;
    int32_t gain_shift;
    const int32_t *gain;
    const int32_t *offset;
} tk_layer_norm_rows_s8_params;

void tk_layer_norm_rows_s8(const tk_layer_norm_rows_s8_params *p, const int8_t *x, int8_t *out);

#endif
