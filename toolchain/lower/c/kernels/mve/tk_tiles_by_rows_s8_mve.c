#include "tk_tiles_by_rows_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

#define CHANNEL(place, weight, sum0, sum1) \
    "   vldrw.u32 q0, [q3, #" place "]\n" \
    "   vldrw.u32 q1, [r1, #" weight "]\n" \
    "   vmladav.s8 " sum0 ", q0, q1\n" \
    "   vshl.i32 q1, q1, #8\n" \
    "   vmladav.s8 " sum1 ", q0, q1\n"

__attribute__((naked)) void
tk_tiles_by_rows_s8_mve(const tk_depthwise_tiles_s8_mve_job *job __attribute__((unused))) {
    __asm__ volatile(TK_DEPTHWISE_TILES_S8_MVE(
        "",
        CHANNEL("0", "0", "r0", "r8") CHANNEL("4", "16", "r2", "r10")
        CHANNEL("8", "32", "r4", "r12") CHANNEL("12", "48", "r6", "lr"),
        "   vadd.i32 q3, q3, r9\n"));
}

#else

#include "tk_depthwise_sum_s8_mve.h"

void tk_tiles_by_rows_s8_mve(const tk_depthwise_tiles_s8_mve_job *job) {
    for (int32_t i = 0; i < job->tiles; i++) {
        for (int32_t c = 0; c < job->groups * 4; c++) {
            const int8_t *words = job->words + i * job->x_step;
            job->out1[i * job->out_step + c] = tk_depthwise_code_s8_mve(job, words, c, 1);
            job->out0[i * job->out_step + c] = tk_depthwise_code_s8_mve(job, words, c, 0);
        }
    }
}

#endif
