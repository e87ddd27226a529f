#include "tk_eight_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* Sums: r0 r2 r4 r6 r8 r10 r12 lr. r1 the stream, r3 rounds of the loop, r5 the output, r7 its end, r9 x, r11
 * where x begins. q4 low, q5 high, q6 zero point, q7 zeros. P0: the first chunk's values that there are. On
 * the stack: 0 rounds, 4 exact, 8 where the loop is entered: of an odd number of chunks the first round
 * leaves one out. */
__attribute__((naked)) void tk_eight_s8_mve(const tk_eight_s8_mve_job *job __attribute__((unused))) {
    __asm__ volatile(
        "   push {r3-r11, lr}\n"
        "   vpush {d8-d15}\n"
        "   sub sp, sp, #16\n"
        "   add r1, r0, #20\n"
        "   ldm r1, {r2, r3, r4, r6}\n" /* zero_point, low, high, exact */
        "   vdup.32 q6, r2\n"
        "   vdup.32 q4, r3\n"
        "   vdup.32 q5, r4\n"
        "   vmov.i32 q7, #0\n"
        "   ldm r0, {r9, r10, r12}\n" /* x, depth, groups */
        "   ldrd r1, r5, [r0, #12]\n" /* stream, out */
        "   add r7, r5, r12, lsl #3\n"
        "   rsb r2, r10, #0\n"
        "   and r2, r2, #15\n" /* zeros before the first value */
        "   vctp.8 r2\n"
        "   vpnot\n"
        "   sub r11, r9, r2\n"
        "   sub r10, r10, #1\n"
        "   lsrs r10, r10, #4\n" /* chunks after the first */
        "   adr r4, 3f\n"
        "   beq 1f\n"
        "   adr r4, 2f\n"
        "   tst r10, #1\n"
        "   it ne\n"
        "   addne r4, r4, #68\n"
        "1: orr r4, r4, #1\n"
        "   add r3, r10, #1\n"
        "   lsr r3, r3, #1\n"
        "   strd r3, r6, [sp, #0]\n"
        "   str r4, [sp, #8]\n"
        "   .balign 4\n"
        "0: mov r9, r11\n" /* eight channels: the first chunk */
        "   vpst\n"
        "   vldrbt.u8 q0, [r9], #16\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r0, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladav.s8 r2, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r4, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladav.s8 r6, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r8, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladav.s8 r10, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r12, q0, q1\n"
        "   vmladav.s8 lr, q0, q2\n"
        "   ldr r3, [sp, #0]\n"
        "   ldr pc, [sp, #8]\n"
        "   .balign 4\n"
        "2: .rept 2\n" /* the others, two a round */
        "   vldrb.u8 q0, [r9], #16\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r0, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladava.s8 r2, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r4, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladava.s8 r6, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r8, q0, q1\n"
        "   vldrb.u8 q1, [r1], #16\n"
        "   vmladava.s8 r10, q0, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r12, q0, q1\n"
        "   vmladava.s8 lr, q0, q2\n"
        "   .endr\n"
        "   subs r3, r3, #1\n"
        "   bne 2b\n"
        "   .balign 4\n"
        "3: vmov q0[2], q0[0], r0, r4\n"
        "   ldr r4, [sp, #4]\n"
        "   vmov q0[3], q0[1], r2, r6\n"
        "   vldrw.u32 q2, [r1, #0]\n"
        "   vmov q1[2], q1[0], r8, r12\n"
        "   vmov q1[3], q1[1], r10, lr\n"
        "   vldrw.u32 q3, [r1, #16]\n"
        "   vadd.i32 q0, q0, q2\n"
        "   vadd.i32 q1, q1, q3\n"
        "   cbnz r4, 5f\n"
        "   vldrw.u32 q2, [r1, #64]\n"
        "   vldrw.u32 q3, [r1, #80]\n"
        "   vqrdmulh.s32 q0, q0, q2\n"
        "   vldrw.u32 q2, [r1, #32]\n"
        "   vqrdmulh.s32 q1, q1, q3\n"
        "   vldrw.u32 q3, [r1, #48]\n"
        "   vrshl.s32 q0, q0, q2\n"
        "   vrshl.s32 q1, q1, q3\n"
        "4: vadd.i32 q0, q0, q6\n"
        "   vadd.i32 q1, q1, q6\n"
        "   vmax.s32 q0, q0, q4\n"
        "   vmax.s32 q1, q1, q4\n"
        "   vmin.s32 q0, q0, q5\n"
        "   vmin.s32 q1, q1, q5\n"
        "   vstrb.32 q0, [r5], #4\n"
        "   vstrb.32 q1, [r5], #4\n"
        "   add r1, r1, #96\n"
        "   cmp r5, r7\n"
        "   bne 0b\n"
        "   add sp, sp, #16\n"
        "   vpop {d8-d15}\n"
        "   pop {r3-r11, pc}\n"
        "5:\n" /* left shifts, and halves away from zero */
        "   vldrw.u32 q2, [r1, #32]\n"
        "   vmax.s32 q3, q2, q7\n"
        "   vshl.s32 q0, q0, q3\n"
        "   vldrw.u32 q3, [r1, #64]\n"
        "   vqrdmulh.s32 q0, q0, q3\n"
        "   vmin.s32 q2, q2, q7\n"
        "   vand q3, q0, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q0, q0, q3\n"
        "   vrshl.s32 q0, q0, q2\n"
        "   vldrw.u32 q2, [r1, #48]\n"
        "   vmax.s32 q3, q2, q7\n"
        "   vshl.s32 q1, q1, q3\n"
        "   vldrw.u32 q3, [r1, #80]\n"
        "   vqrdmulh.s32 q1, q1, q3\n"
        "   vmin.s32 q2, q2, q7\n"
        "   vand q3, q1, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q1, q1, q3\n"
        "   vrshl.s32 q1, q1, q2\n"
        "   b 4b\n");
}

#else

#include "tk_requantize.h"

static int8_t code_of(const tk_eight_s8_mve_job *job, const int8_t *weight, const int32_t *last) {
    const int32_t before = -job->depth & 15;
    uint32_t sum = (uint32_t)last[0];
    for (int32_t k = 0; k < job->depth; k++) {
        int32_t place = before + k;
        sum += (uint32_t)(job->x[k] * weight[(place >> 4) * 128 + (place & 15)]);
    }
    return tk_code_s8(tk_requantize((int32_t)sum, last[16], last[8]), job->zero_point,
                      job->low - job->zero_point, job->high - job->zero_point);
}

void tk_eight_s8_mve(const tk_eight_s8_mve_job *job) {
    const int32_t words = ((job->depth + 15) >> 4) * 32;
    for (int32_t group = 0; group < job->groups; group++) {
        const int32_t *stream = job->stream + group * (words + 24);
        for (int32_t o = 0; o < 8; o++) {
            job->out[group * 8 + o] = code_of(job, (const int8_t *)stream + o * 16, stream + words + o);
        }
    }
}

#endif
