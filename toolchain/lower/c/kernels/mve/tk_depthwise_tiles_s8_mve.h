/* tk_depthwise_tiles_s8_mve.h - windows times depthwise weights, requantized: two outputs of four channels at
 * a time. The inner loops of tk_depthwise_rows_s8_mve.h and tk_depthwise_columns_s8_mve.h.
 *
 * words      [...][16][4] int8, as tk_words_s8_mve.h makes them: a column of four rows is a word
 * lane[k]    bytes from the first column of a window to its k-th; 0 beyond the kernel's width
 * stream     for each group of 4 channels: int8 weight[4][4][4], channel, column, row, zero beyond the
 *            kernel; int32 bias[4], shift[4], multiplier[4] as in tk_requantize.h
 * out0       tile i's first output at out0 + i * out_step, 4 * groups channels; out1 the second one's, which
 *            is stored before the first, so that it may be the same place
 * x_step     bytes between the windows of neighbouring outputs
 * zero_point, low, high, exact  as in tk_pairs_s8_mve.h
 *
 * tk_tiles_by_rows_s8_mve:     the second output is the one below: its window begins one row lower in the
 *                              same words; weights of the fourth row are 0
 * tk_tiles_by_columns_s8_mve:  the second output is the row's next one: its window begins x_step further
 * groups 1 to 4, tiles >= 1. A window is one gather of four words and one multiplication. Reentrant; no libc.
 */
#ifndef TK_DEPTHWISE_TILES_S8_MVE_H
#define TK_DEPTHWISE_TILES_S8_MVE_H

#include <stdint.h>

typedef struct {
    const int32_t *stream;
    int8_t *out0;
    int8_t *out1;
    int32_t groups;
    int32_t tiles;
    int32_t x_step;
    int32_t out_step;
    int32_t zero_point;
    int32_t exact;
    int32_t low;
    int32_t high;
    const int8_t *words;
    uint32_t lane[4];
} tk_depthwise_tiles_s8_mve_job;

typedef void tk_depthwise_tiles_s8_mve(const tk_depthwise_tiles_s8_mve_job *job);

/* Both in assembly: r1 the stream, r3 and r5 the outputs, r7 tiles left, r9 x_step, r11 out_step; sums in r0
 * r2 r4 r6 and r8 r10 r12 lr. q2 bias, q3 addresses of the window's words, q4 multiplier, q5 shift, q6 low,
 * q7 high. On the stack: 0 zero_point, 4 exact, 8 groups left, 12 tiles, 16 q3 at the row's start, 32 a
 * spill, 48 out0 and 52 out1 at the row's start.
 *
 * first: what begins a tile;  channels: their sums;  last: what follows them, with the bias in q2 at the end
 */
#define TK_DEPTHWISE_TILES_S8_MVE(first, channels, last) \
    "   push {r4-r11, lr}\n" \
    "   vpush {d8-d15}\n" \
    "   sub sp, sp, #60\n" \
    "   vldrw.u32 q3, [r0, #48]\n" \
    "   ldrd r2, r4, [r0, #40]\n" \
    "   vdup.32 q7, r2\n" \
    "   vadd.i32 q3, q3, r4\n" \
    "   ldrd r2, r4, [r0, #32]\n" \
    "   vdup.32 q6, r4\n" \
    "   ldr r4, [r0, #28]\n" \
    "   strd r4, r2, [sp, #0]\n" \
    "   ldrd r2, r7, [r0, #12]\n" \
    "   strd r2, r7, [sp, #8]\n" \
    "   ldrd r9, r11, [r0, #20]\n" \
    "   ldm r0, {r1, r3, r5}\n" \
    "0: vstrw.32 q3, [sp, #16]\n" \
    "   strd r3, r5, [sp, #48]\n" \
    "   vldrw.u32 q2, [r1, #64]\n" \
    "   vldrw.u32 q5, [r1, #80]\n" \
    "   vldrw.u32 q4, [r1, #96]\n" \
    "1:\n" first channels last \
    "   vmov q0[2], q0[0], r0, r4\n" \
    "   vmov q0[3], q0[1], r2, r6\n" \
    "   ldrd r0, r2, [sp, #0]\n" \
    "   vmov q1[2], q1[0], r8, r12\n" \
    "   vadd.i32 q0, q0, q2\n" \
    "   vmov q1[3], q1[1], r10, lr\n" \
    "   vadd.i32 q1, q1, q2\n" \
    "   cbnz r2, 3f\n" \
    "   vqrdmulh.s32 q0, q0, q4\n" \
    "   vqrdmulh.s32 q1, q1, q4\n" \
    "   vrshl.s32 q0, q0, q5\n" \
    "   vrshl.s32 q1, q1, q5\n" \
    "2: vadd.i32 q0, q0, r0\n" \
    "   vadd.i32 q1, q1, r0\n" \
    "   vmax.s32 q0, q0, q6\n" \
    "   vmax.s32 q1, q1, q6\n" \
    "   vmin.s32 q0, q0, q7\n" \
    "   vmin.s32 q1, q1, q7\n" \
    "   vstrb.32 q1, [r5]\n" \
    "   vstrb.32 q0, [r3]\n" \
    "   add r5, r5, r11\n" \
    "   add r3, r3, r11\n" \
    "   subs r7, r7, #1\n" \
    "   bne 1b\n" \
    "   b 4f\n" \
    "3: vstrw.32 q3, [sp, #32]\n" /* left shifts, and halves away from zero */ \
    "   vmov.i32 q3, #0\n" \
    "   vmax.s32 q2, q5, q3\n" \
    "   vshl.s32 q0, q0, q2\n" \
    "   vshl.s32 q1, q1, q2\n" \
    "   vqrdmulh.s32 q0, q0, q4\n" \
    "   vqrdmulh.s32 q1, q1, q4\n" \
    "   vmin.s32 q3, q5, q3\n" \
    "   vand q2, q0, q3\n" \
    "   vshr.s32 q2, q2, #31\n" \
    "   vadd.i32 q0, q0, q2\n" \
    "   vand q2, q1, q3\n" \
    "   vshr.s32 q2, q2, #31\n" \
    "   vadd.i32 q1, q1, q2\n" \
    "   vrshl.s32 q0, q0, q3\n" \
    "   vrshl.s32 q1, q1, q3\n" \
    "   vldrw.u32 q3, [sp, #32]\n" \
    "   vldrw.u32 q2, [r1, #64]\n" \
    "   b 2b\n" \
    "4: ldrd r2, r7, [sp, #8]\n" /* the next four channels */ \
    "   vldrw.u32 q3, [sp, #16]\n" \
    "   ldrd r3, r5, [sp, #48]\n" \
    "   mov r0, #16\n" \
    "   vadd.i32 q3, q3, r0\n" \
    "   adds r1, r1, #112\n" \
    "   adds r3, r3, #4\n" \
    "   adds r5, r5, #4\n" \
    "   subs r2, r2, #1\n" \
    "   str r2, [sp, #8]\n" \
    "   bne 0b\n" \
    "   add sp, sp, #60\n" \
    "   vpop {d8-d15}\n" \
    "   pop {r4-r11, pc}\n"

#endif
