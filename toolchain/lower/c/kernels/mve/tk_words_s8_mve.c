#include "tk_words_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

__attribute__((naked)) void tk_words_s8_mve(const tk_words_s8_mve_job *job __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r10, lr}\n"
        "   ldr r10, [r0, #40]\n"
        "   vctp.8 r10\n"
        "   ldrd r8, r9, [r0, #32]\n"
        "   ldm r0, {r0, r1, r2, r3, r4, r5, r6, r7}\n"
        "   dls lr, r9\n"
        "1: vpstttt\n"
        "   vldrbt.u8 q0, [r0]\n"
        "   vldrbt.u8 q1, [r1]\n"
        "   vldrbt.u8 q2, [r2]\n"
        "   vldrbt.u8 q3, [r3]\n"
        "   vst40.8 {q0, q1, q2, q3}, [r8]\n"
        "   add r0, r0, r4\n"
        "   vst41.8 {q0, q1, q2, q3}, [r8]\n"
        "   add r1, r1, r5\n"
        "   vst42.8 {q0, q1, q2, q3}, [r8]\n"
        "   add r2, r2, r6\n"
        "   vst43.8 {q0, q1, q2, q3}, [r8]!\n"
        "   add r3, r3, r7\n"
        "   le lr, 1b\n"
        "   pop {r4-r10, pc}\n");
}

#else

void tk_words_s8_mve(const tk_words_s8_mve_job *job) {
    for (int32_t i = 0; i < job->count; i++) {
        for (int32_t c = 0; c < 16; c++) {
            for (int32_t r = 0; r < 4; r++) {
                job->to[(i * 16 + c) * 4 + r] =
                    (int8_t)(c < job->channels ? job->row[r][i * job->step[r] + c] : 0);
            }
        }
    }
}

#endif
