/* tk_depthwise_sum_s8_mve.h - one output of tk_depthwise_tiles_s8_mve.h in C, for hosts without MVE.
 *
 * words   where the window's first column lies
 * lower   rows by which the window lies lower than the words' first
 */
#ifndef TK_DEPTHWISE_SUM_S8_MVE_H
#define TK_DEPTHWISE_SUM_S8_MVE_H

#include "tk_depthwise_tiles_s8_mve.h"
#include "tk_requantize.h"

static inline int8_t tk_depthwise_code_s8_mve(const tk_depthwise_tiles_s8_mve_job *job, const int8_t *words,
                                              int32_t channel, int32_t lower) {
    const int32_t *group = job->stream + (channel >> 2) * 28;
    const int8_t *weight = (const int8_t *)group + (channel & 3) * 16;
    uint32_t sum = (uint32_t)group[16 + (channel & 3)];
    for (int32_t column = 0; column < 4; column++) {
        const int8_t *word = words + job->lane[column] + channel * 4;
        for (int32_t row = 0; row + lower < 4; row++) {
            sum += (uint32_t)(word[row + lower] * weight[column * 4 + row]);
        }
    }
    return tk_code_s8(tk_requantize((int32_t)sum, group[24 + (channel & 3)], group[20 + (channel & 3)]),
                      job->zero_point, job->low - job->zero_point, job->high - job->zero_point);
}

#endif
