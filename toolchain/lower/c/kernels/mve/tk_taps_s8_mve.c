#include "tk_taps_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* r1 the group's first tap, r2 the tap, r3 the stream, r4 the output, r5 taps, r6 channels, r7 channels left,
 * r8 zero point. q0 sums of channels 0 2 4 6, q1 of 1 3 5 7; q4 low, q5 high, q6 zeros. P0: channels there
 * are. */
__attribute__((naked)) void tk_taps_s8_mve(const tk_taps_s8_mve_job *job __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r10, lr}\n"
        "   vpush {d8-d15}\n"
        "   ldrd r5, r6, [r0, #24]\n"
        "   vdup.32 q4, r5\n"
        "   vdup.32 q5, r6\n"
        "   vmov.i32 q6, #0\n"
        "   ldm r0, {r1, r3, r4, r5, r6, r8}\n"
        "   mov r7, r6\n"
        "0: vctp.16 r7\n"
        "   mov r2, r1\n"
        "   vmov.i32 q0, #0\n"
        "   vmov.i32 q1, #0\n"
        "   dls lr, r5\n"
        "1: vpst\n"
        "   vldrbt.s16 q2, [r2]\n"
        "   vldrb.s16 q3, [r3], #8\n"
        "   add r2, r2, r6\n"
        "   vmullb.s16 q7, q2, q3\n"
        "   vmullt.s16 q2, q2, q3\n"
        "   vadd.i32 q0, q0, q7\n"
        "   vadd.i32 q1, q1, q2\n"
        "   le lr, 1b\n"
        "   vldrw.u32 q2, [r3, #0]\n"
        "   vldrw.u32 q3, [r3, #16]\n"
        "   vadd.i32 q0, q0, q2\n"
        "   vadd.i32 q1, q1, q3\n"
        "   vldrw.u32 q2, [r3, #32]\n"
        "   vmax.s32 q3, q2, q6\n"
        "   vshl.s32 q0, q0, q3\n"
        "   vldrw.u32 q3, [r3, #64]\n"
        "   vqrdmulh.s32 q0, q0, q3\n"
        "   vmin.s32 q2, q2, q6\n"
        "   vand q3, q0, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q0, q0, q3\n"
        "   vrshl.s32 q0, q0, q2\n"
        "   vadd.i32 q0, q0, r8\n"
        "   vmax.s32 q0, q0, q4\n"
        "   vmin.s32 q0, q0, q5\n"
        "   vldrw.u32 q2, [r3, #48]\n"
        "   vmax.s32 q3, q2, q6\n"
        "   vshl.s32 q1, q1, q3\n"
        "   vldrw.u32 q3, [r3, #80]\n"
        "   vqrdmulh.s32 q1, q1, q3\n"
        "   vmin.s32 q2, q2, q6\n"
        "   vand q3, q1, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q1, q1, q3\n"
        "   vrshl.s32 q1, q1, q2\n"
        "   vadd.i32 q1, q1, r8\n"
        "   vmax.s32 q1, q1, q4\n"
        "   vmin.s32 q1, q1, q5\n"
        "   vmovnt.i32 q0, q1\n"
        "   vpst\n"
        "   vstrbt.16 q0, [r4], #8\n"
        "   adds r3, r3, #96\n"
        "   adds r1, r1, #8\n"
        "   subs r7, r7, #8\n"
        "   bgt 0b\n"
        "   vpop {d8-d15}\n"
        "   pop {r4-r10, pc}\n");
}

#else

#include "tk_requantize.h"

void tk_taps_s8_mve(const tk_taps_s8_mve_job *job) {
    const int32_t words = job->taps * 2;
    for (int32_t c = 0; c < job->channels; c++) {
        const int32_t *group = job->stream + (c >> 3) * (words + 24);
        const int32_t *last = group + words + (c & 1) * 4 + ((c & 7) >> 1);
        uint32_t sum = (uint32_t)last[0];
        for (int32_t tap = 0; tap < job->taps; tap++) {
            sum += (uint32_t)(job->x[tap * job->channels + c] * ((const int8_t *)group)[tap * 8 + (c & 7)]);
        }
        job->out[c] = tk_code_s8(tk_requantize((int32_t)sum, last[16], last[8]), job->zero_point,
                                 job->low - job->zero_point, job->high - job->zero_point);
    }
}

#endif
