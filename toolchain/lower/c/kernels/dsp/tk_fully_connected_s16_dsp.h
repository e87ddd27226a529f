/* tk_fully_connected_s16_dsp.h - rows of int16 values times a constant matrix; also a 1x1 convolution without
 * stride.
 *
 * x    [rows][matrix.depth]     int16
 * out  [rows][matrix.channels]  int16; may begin before x as far as no row is overwritten that is still read:
 *      three at a time, then single ones, are read until their last outputs are written
 * The matrix and the arithmetic are tk_matrix_s16_dsp.h's. Reentrant; libc: memcpy.
 */
#ifndef TK_FULLY_CONNECTED_S16_DSP_H
#define TK_FULLY_CONNECTED_S16_DSP_H

#include "tk_matrix_s16_dsp.h"

typedef struct {
    int32_t rows;
    tk_matrix_s16_dsp_params matrix;
} tk_fully_connected_s16_dsp_params;

void tk_fully_connected_s16_dsp(const tk_fully_connected_s16_dsp_params *p, const void *x, void *out);

#endif
