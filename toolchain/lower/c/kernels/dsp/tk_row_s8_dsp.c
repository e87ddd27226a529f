#include "tk_row_s8_dsp.h"

#ifdef TK_DSP_ASSEMBLY

/* r0 patch, r1 weight, r2 turns left; r3-r6 values, r7-r10 words of weights; r11 sum 256 * B + A, r12 A. */
#define WORD(x, w)                                                                                           \
    "smlad r11, " x ", " w ", r11\n\t"                                                                       \
    "sxtb16 " w ", " w "\n\t"                                                                                \
    "smlad r12, " x ", " w ", r12\n\t"
/* 54 bytes of code */
#define TWO_UNITS                                                                                            \
    "ldmia r0!, {r3, r4, r5, r6}\n\t"                                                                        \
    "ldmia r1!, {r7, r8, r9, r10}\n\t" WORD("r3", "r7") WORD("r4", "r8") WORD("r5", "r9") WORD("r6", "r10")
/* tk_output_s8_dsp of 2 * sum in `sum`; multiplier, offset and shift in r2, r3, r4. */
#define CODE(sum)                                                                                            \
    "smmlar r7, " sum ", r2, r3\n\t"                                                                         \
    "add r7, r7, " sum ", asr #31\n\t"                                                                       \
    "asr r7, r7, r4\n\t"                                                                                     \
    "ssat r7, #8, r7\n\t"

/* On the stack: 0 output record, 4 out, 8 its end, 16 patch, 20 turns, 24 where to begin a pair, 28 where in
 * the unrolled units to begin. */
TK_DSP_ASSEMBLY void tk_row_s8_dsp(TK_DSP_REGISTER const tk_block_s8_dsp *block,
                                   TK_DSP_REGISTER const uint32_t *patch, TK_DSP_REGISTER int8_t *out) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #36\n\t"
        "ldrd r4, r5, [r0]\n\t"
        "ldrh r6, [r0, #8]\n\t"
        "ldrh r7, [r0, #10]\n\t"
        "add r7, r2, r7, lsl #1\n\t"
        "str r7, [sp, #8]\n\t"
        /* Two units at a time: units / 2 + 3 >> 2 turns of four, less what is skipped; an odd unit first. */
        "lsrs r7, r6, #1\n\t"
        "ite cs\n\t"
        "adrcs r8, 2f\n\t"
        "adrcc r8, 3f\n\t"
        "add r3, r7, #3\n\t"
        "lsrs r3, r3, #2\n\t"
        "it eq\n\t"
        "moveq r3, #1\n\t"
        "strd r1, r3, [sp, #16]\n\t"
        "rsb r6, r7, r3, lsl #2\n\t"
        "movs r3, #54\n\t"
        "adr r7, 4f\n\t"
        "mla r7, r6, r3, r7\n\t"
        "add r7, r7, #1\n\t"
        "add r8, r8, #1\n\t"
        "strd r8, r7, [sp, #24]\n\t"
        "mov r1, r4\n\t"
        "mov r0, r5\n\t"
        "mov r5, r2\n\t"
        /* Two channels: r0 their record, r5 where a's code goes. */
        "1:\n\t"
        "ldmia r0!, {r11, r12}\n\t"
        "strd r0, r5, [sp]\n\t"
        "ldrd r0, r2, [sp, #16]\n\t"
        "ldr pc, [sp, #24]\n\t"
        ".balign 4\n\t"
        "2:\n\t"
        "ldrd r3, r4, [r0], #8\n\t"
        "ldrd r7, r8, [r1], #8\n\t" WORD("r3", "r7") WORD("r4", "r8")
        ".balign 4\n\t"
        "3:\n\t"
        "ldr pc, [sp, #28]\n\t"
        ".balign 4\n\t"
        "4:\n\t" TWO_UNITS TWO_UNITS TWO_UNITS TWO_UNITS
        "subs r2, r2, #1\n\t"
        "bne 4b\n\t"
        "ldmia sp, {r0, r5}\n\t"
        "ldmia r0!, {r2, r3, r4}\n\t"
        "sub r11, r11, r12\n\t"
        "asr r11, r11, #7\n\t" CODE("r11") "strb r7, [r5, #1]\n\t"
        "ldmia r0!, {r2, r3, r4}\n\t"
        "lsl r12, r12, #1\n\t" CODE("r12") "strb r7, [r5], #2\n\t"
        "ldr r7, [sp, #8]\n\t"
        "cmp r5, r7\n\t"
        "bne 1b\n\t"
        "add sp, sp, #36\n\t"
        "pop {r4-r11, pc}\n\t");
}

#else

void tk_row_s8_dsp(const tk_block_s8_dsp *block, const uint32_t *patch, int8_t *out) {
    for (int32_t pair = 0; pair < block->pairs; pair++) {
        tk_pair_s8_dsp(block, pair, patch, 1, out + 2 * pair);
    }
}

#endif
