/* tk_fully_connected_s8_dsp.h - rows of values times a constant matrix; also a 1x1 convolution without
 * stride.
 *
 * x          [rows][depth]            int8
 * scratch    3 * 8 * matrix.block.units bytes, a third of them for fewer than three rows; aligned to 4
 * out        [rows][matrix.channels]  int8; may overlap x as below
 * backwards  1: the last rows come first, 0: the first
 * low, high  codes that the outputs are cut to
 *
 * Three rows at a time, then single ones. Rows are read whole before their outputs are written, so that out
 * may lie over x wherever no row still to be read is overwritten: with start on start, going forwards where
 * channels <= depth and backwards where channels >= depth. The arithmetic is tk_block_s8_dsp.h's.
 * Reentrant; libc: memcpy.
 */
#ifndef TK_FULLY_CONNECTED_S8_DSP_H
#define TK_FULLY_CONNECTED_S8_DSP_H

#include "tk_matrix_s8_dsp.h"

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t backwards;
    int32_t low;
    int32_t high;
    tk_matrix_s8_dsp_params matrix;
} tk_fully_connected_s8_dsp_params;

void tk_fully_connected_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                               int8_t *out);

#endif
