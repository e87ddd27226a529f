/* tk_taps_s8_mve.h - one pixel of a depthwise convolution with any window, eight channels at a time.
 *
 * x         [taps][channels]  int8
 * out       [channels]        int8; may not overlap x
 * stream    for each group of 8 channels, the last filled up with zeros: int8 weight[taps][8]; int32 bias[8],
 *           shift[8], multiplier[8] as in tk_requantize.h, each with channels 0 2 4 6 before 1 3 5 7
 * zero_point  of the output;  low, high: the range of its codes
 *
 * channels >= 1, taps >= 1. Nothing outside x and out is touched. Sums wrap at 32 bits. Reentrant; no libc.
 */
#ifndef TK_TAPS_S8_MVE_H
#define TK_TAPS_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int8_t *x;
    const int32_t *stream;
    int8_t *out;
    int32_t taps;
    int32_t channels;
    int32_t zero_point;
    int32_t low;
    int32_t high;
} tk_taps_s8_mve_job;

void tk_taps_s8_mve(const tk_taps_s8_mve_job *job);

#endif
