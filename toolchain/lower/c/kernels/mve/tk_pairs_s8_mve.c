#include "tk_pairs_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* Sums: r0 r2 r4 r6 of the first pixel, r8 r10 r12 lr of the second. r1 the stream, r9 and r11 the pixels, r7
 * rounds of the loop, r3 and r5 the outputs. q4 low, q5 high, q6 zero point, q7 zeros. P0: the first chunk's
 * values that there are. On the stack: 0 rounds, 4 end of out0, 8 x0, 12 x1, 16 where the loop is entered,
 * 20 exact, 24 stream, 28 out_step - 4 * groups, 32 x_step, 36 pairs left, 40 out_step. */
__attribute__((naked)) void tk_pairs_s8_mve(const tk_pairs_s8_mve_job *job __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r11, lr}\n"
        "   vpush {d8-d15}\n"
        "   sub sp, sp, #44\n"
        "   add r1, r0, #40\n"
        "   ldm r1, {r2, r3, r4, r5}\n" /* zero_point, low, high, exact */
        "   vdup.32 q6, r2\n"
        "   vdup.32 q4, r3\n"
        "   vdup.32 q5, r4\n"
        "   vmov.i32 q7, #0\n"
        "   ldm r0, {r6, r9, r11}\n" /* x0, x1, depth */
        "   rsb r2, r11, #0\n"
        "   and r2, r2, #15\n" /* zeros before the first value */
        "   vctp.8 r2\n"
        "   vpnot\n"
        "   subs r6, r6, r2\n"
        "   sub r9, r9, r2\n"
        "   sub r11, r11, #1\n"
        "   lsrs r11, r11, #4\n" /* chunks after the first */
        "   adr r4, 3f\n"
        "   beq 1f\n"
        "   rsb r4, r11, #0\n"
        "   and r4, r4, #3\n" /* chunks that the first round leaves out */
        "   mov r2, #56\n"
        "   adr r8, 2f\n"
        "   mla r4, r4, r2, r8\n"
        "1: orr r4, r4, #1\n"
        "   strd r4, r5, [sp, #16]\n"
        "   add r7, r11, #3\n"
        "   lsr r7, r7, #2\n" /* rounds */
        "   strd r6, r9, [sp, #8]\n"
        "   ldrd r10, r1, [r0, #12]\n" /* groups, stream */
        "   ldrd r3, r5, [r0, #20]\n"  /* out0, out1 */
        "   ldrd r2, r4, [r0, #28]\n"  /* x_step, out_step */
        "   ldr r6, [r0, #36]\n"       /* pairs */
        "   add r8, r3, r10, lsl #2\n"
        "   strd r7, r8, [sp, #0]\n"
        "   sub r8, r4, r10, lsl #2\n"
        "   strd r1, r8, [sp, #24]\n"
        "   strd r2, r6, [sp, #32]\n"
        "   str r4, [sp, #40]\n"
        "   ldm sp, {r7, r8, r9, r11}\n"
        "   .balign 4\n"
        "0: vpstt\n" /* four channels: the first chunk */
        "   vldrbt.u8 q0, [r9], #16\n"
        "   vldrbt.u8 q1, [r11], #16\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r0, q0, q2\n"
        "   vldrb.u8 q3, [r1], #16\n"
        "   vmladav.s8 r8, q1, q2\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladav.s8 r2, q0, q3\n"
        "   vmladav.s8 r10, q1, q3\n"
        "   vldrb.u8 q3, [r1], #16\n"
        "   vmladav.s8 r4, q0, q2\n"
        "   vmladav.s8 r12, q1, q2\n"
        "   vmladav.s8 r6, q0, q3\n"
        "   vmladav.s8 lr, q1, q3\n"
        "   ldr pc, [sp, #16]\n"
        "   .balign 4\n"
        "2: .rept 4\n" /* the others, four a round */
        "   vldrb.u8 q0, [r9], #16\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r0, q0, q2\n"
        "   vldrb.u8 q1, [r11], #16\n"
        "   vmladava.s8 r8, q1, q2\n"
        "   vldrb.u8 q3, [r1], #16\n"
        "   vmladava.s8 r2, q0, q3\n"
        "   vldrb.u8 q2, [r1], #16\n"
        "   vmladava.s8 r10, q1, q3\n"
        "   vldrb.u8 q3, [r1], #16\n"
        "   vmladava.s8 r4, q0, q2\n"
        "   vmladava.s8 r12, q1, q2\n"
        "   vmladava.s8 r6, q0, q3\n"
        "   vmladava.s8 lr, q1, q3\n"
        "   .endr\n"
        "   subs r7, r7, #1\n"
        "   bne 2b\n"
        "   .balign 4\n"
        "3: vmov q0[2], q0[0], r0, r4\n"
        "   ldr r0, [sp, #20]\n"
        "   vmov q0[3], q0[1], r2, r6\n"
        "   vldrw.u32 q2, [r1], #16\n"
        "   vmov q1[2], q1[0], r8, r12\n"
        "   vmov q1[3], q1[1], r10, lr\n"
        "   vadd.i32 q0, q0, q2\n"
        "   vadd.i32 q1, q1, q2\n"
        "   vldrw.u32 q2, [r1], #16\n"
        "   cbnz r0, 5f\n"
        "   vldrw.u32 q3, [r1], #16\n"
        "   vqrdmulh.s32 q0, q0, q3\n"
        "   vqrdmulh.s32 q1, q1, q3\n"
        "4: vrshl.s32 q0, q0, q2\n"
        "   vrshl.s32 q1, q1, q2\n"
        "   vadd.i32 q0, q0, q6\n"
        "   vadd.i32 q1, q1, q6\n"
        "   vmax.s32 q0, q0, q4\n"
        "   vmax.s32 q1, q1, q4\n"
        "   vmin.s32 q0, q0, q5\n"
        "   vmin.s32 q1, q1, q5\n"
        "   vstrb.32 q0, [r3], #4\n"
        "   vstrb.32 q1, [r5], #4\n"
        "   ldm sp, {r7, r8, r9, r11}\n"
        "   cmp r3, r8\n"
        "   bne 0b\n"
        "   b 6f\n"
        "5: vmax.s32 q3, q2, q7\n" /* left shifts, and halves away from zero */
        "   vshl.s32 q0, q0, q3\n"
        "   vshl.s32 q1, q1, q3\n"
        "   vldrw.u32 q3, [r1], #16\n"
        "   vqrdmulh.s32 q0, q0, q3\n"
        "   vqrdmulh.s32 q1, q1, q3\n"
        "   vmin.s32 q2, q2, q7\n"
        "   vand q3, q0, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q0, q0, q3\n"
        "   vand q3, q1, q2\n"
        "   vshr.s32 q3, q3, #31\n"
        "   vadd.i32 q1, q1, q3\n"
        "   b 4b\n"
        "6: ldrd r0, r2, [sp, #28]\n" /* the next pair */
        "   ldrd r4, r6, [sp, #36]\n"
        "   ldr r1, [sp, #24]\n"
        "   add r9, r9, r2\n"
        "   add r11, r11, r2\n"
        "   add r8, r8, r6\n"
        "   stm sp, {r7, r8, r9, r11}\n"
        "   adds r3, r3, r0\n"
        "   adds r5, r5, r0\n"
        "   subs r4, r4, #1\n"
        "   str r4, [sp, #36]\n"
        "   bne 0b\n"
        "   add sp, sp, #44\n"
        "   vpop {d8-d15}\n"
        "   pop {r4-r11, pc}\n");
}

#else

#include "tk_requantize.h"

/* One channel: the sum of its products with one pixel. w: its values of the first chunk. */
static int32_t sum_of(const tk_pairs_s8_mve_job *job, const int8_t *x, const int8_t *w) {
    const int32_t before = -job->depth & 15;
    uint32_t sum = 0;
    for (int32_t k = 0; k < job->depth; k++) {
        int32_t place = before + k;
        sum += (uint32_t)(x[k] * w[(place >> 4) * 64 + (place & 15)]);
    }
    return (int32_t)sum;
}

static void four_channels(const tk_pairs_s8_mve_job *job, const int8_t *x, const int32_t *stream,
                          int8_t *out) {
    const int32_t *last = stream + ((job->depth + 15) >> 4) * 16;
    for (int32_t o = 0; o < 4; o++) {
        int32_t sum = sum_of(job, x, (const int8_t *)stream + o * 16);
        int32_t acc = (int32_t)((uint32_t)sum + (uint32_t)last[o]);
        out[o] = tk_code_s8(tk_requantize(acc, last[o + 8], last[o + 4]), job->zero_point,
                            job->low - job->zero_point, job->high - job->zero_point);
    }
}

void tk_pairs_s8_mve(const tk_pairs_s8_mve_job *job) {
    const int32_t words = ((job->depth + 15) >> 4) * 16 + 12;
    for (int32_t pair = 0; pair < job->pairs; pair++) {
        for (int32_t group = 0; group < job->groups; group++) {
            const int32_t *stream = job->stream + group * words;
            int32_t place = pair * job->out_step + group * 4;
            four_channels(job, job->x0 + pair * job->x_step, stream, job->out0 + place);
            four_channels(job, job->x1 + pair * job->x_step, stream, job->out1 + place);
        }
    }
}

#endif
