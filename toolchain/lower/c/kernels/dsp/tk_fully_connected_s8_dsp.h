/* tk_fully_connected_s8_dsp.h - rows of values times a constant matrix; also a 1x1 convolution without
 * stride.
 *
 * x          [rows][depth]            int8
 * scratch    3 * 8 * matrix.block.units bytes; aligned to 4
 * out        [rows][matrix.channels]  int8; may overlap x as below
 * backwards  1: the last rows come first, 0: the first
 *
 * Three rows at a time; the last three may have been done in part before. Fewer than three rows one at a time.
 * Rows are read whole before their outputs are written, so that out may lie over x wherever no row still to
 * be read is overwritten: with start on start and rows a multiple of three, going forwards where
 * channels <= depth and backwards where channels >= depth. The arithmetic is tk_block_s8_dsp.h's.
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_FULLY_CONNECTED_S8_DSP_H
#define TK_FULLY_CONNECTED_S8_DSP_H

#include "tk_matrix_s8_dsp.h"

typedef struct {
    tk_matrix_s8_dsp_params matrix;
    int32_t rows;
    uint16_t depth;
    uint16_t backwards;
} tk_fully_connected_s8_dsp_params;

void tk_fully_connected_s8_dsp(const tk_fully_connected_s8_dsp_params *p, const int8_t *x, void *scratch,
                               int8_t *out);

#endif
