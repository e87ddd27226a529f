#include "tk_tile_s8_dsp.h"

#ifdef TK_DSP_ASSEMBLY

/* r0 patches, r1 weight, r2 turns left; r3-r5 values of three patches, r6 r7 words of weights;
 * r8-r10 sums 256 * B + A, r11 r12 lr sums A of the three patches. */
#define WORD(w)                                                                                              \
    "ldmia r0!, {r3, r4, r5}\n\t"                                                                            \
    "smlad r8, r3, " w ", r8\n\t"                                                                            \
    "smlad r9, r4, " w ", r9\n\t"                                                                            \
    "smlad r10, r5, " w ", r10\n\t"                                                                          \
    "sxtb16 " w ", " w "\n\t"                                                                                \
    "smlad r11, r3, " w ", r11\n\t"                                                                          \
    "smlad r12, r4, " w ", r12\n\t"                                                                          \
    "smlad lr, r5, " w ", lr\n\t"
/* 64 bytes of code */
#define UNIT                                                                                                 \
    "ldrd r6, r7, [r1], #8\n\t" WORD("r6") WORD("r7")
/* The same for a first word: the sums start from the biases in r8 and r11. */
#define FIRST_WORD(w)                                                                                        \
    "ldmia r0!, {r3, r4, r5}\n\t"                                                                            \
    "smlad r9, r4, " w ", r8\n\t"                                                                            \
    "smlad r10, r5, " w ", r8\n\t"                                                                           \
    "smlad r8, r3, " w ", r8\n\t"                                                                            \
    "sxtb16 " w ", " w "\n\t"                                                                                \
    "smlad r12, r4, " w ", r11\n\t"                                                                          \
    "smlad lr, r5, " w ", r11\n\t"                                                                           \
    "smlad r11, r3, " w ", r11\n\t"
/* tk_output_s8_dsp of 2 * sum in `sum`; multiplier, offset and shift in r2, r3, r4. */
#define CODE(sum)                                                                                            \
    "smmlar r7, " sum ", r2, r3\n\t"                                                                         \
    "add r7, r7, " sum ", asr #31\n\t"                                                                       \
    "asr r7, r7, r4\n\t"                                                                                     \
    "ssat r7, #8, r7\n\t"

/* On the stack: 0 output record, 4 out, 8 pitch, 12 end of the first row of out, 16 patches, 20 turns,
 * 24 where in the unrolled units to begin. */
TK_DSP_ASSEMBLY void tk_tile_s8_dsp(TK_DSP_REGISTER const tk_block_s8_dsp *block,
                                    TK_DSP_REGISTER const uint32_t *patches, TK_DSP_REGISTER int8_t *out,
                                    TK_DSP_REGISTER int32_t pitch) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #28\n\t"
        "ldrd r4, r5, [r0]\n\t"
        "ldrh r6, [r0, #8]\n\t"
        "ldrh r7, [r0, #10]\n\t"
        "add r2, r2, #1\n\t"
        "add r7, r2, r7, lsl #1\n\t"
        "strd r3, r7, [sp, #8]\n\t"
        /* The first unit stands apart: units + 2 >> 2 turns of four for the others, less what is skipped. */
        "add r3, r6, #2\n\t"
        "lsrs r3, r3, #2\n\t"
        "it eq\n\t"
        "moveq r3, #1\n\t"
        "strd r1, r3, [sp, #16]\n\t"
        "sub r6, r6, #1\n\t"
        "rsb r6, r6, r3, lsl #2\n\t"
        "adr r7, 2f\n\t"
        "add r7, r7, r6, lsl #6\n\t"
        "add r7, r7, #1\n\t"
        "str r7, [sp, #24]\n\t"
        "mov r1, r4\n\t"
        "mov r0, r5\n\t"
        "mov r5, r2\n\t"
        /* Two channels: r0 their record, r5 where b's code goes. */
        "1:\n\t"
        "ldmia r0!, {r8, r11}\n\t"
        "strd r0, r5, [sp]\n\t"
        "ldrd r0, r2, [sp, #16]\n\t"
        "ldrd r6, r7, [r1], #8\n\t" FIRST_WORD("r6") WORD("r7")
        "ldr pc, [sp, #24]\n\t"
        ".balign 4\n\t"
        "2:\n\t" UNIT UNIT UNIT UNIT
        "subs r2, r2, #1\n\t"
        "bne 2b\n\t"
        "ldmia sp, {r0, r5, r6}\n\t"
        "ldmia r0!, {r2, r3, r4}\n\t"
        "sub r8, r8, r11\n\t"
        "sub r9, r9, r12\n\t"
        "sub r10, r10, lr\n\t"
        "asr r8, r8, #7\n\t"
        "asr r9, r9, #7\n\t"
        "asr r10, r10, #7\n\t"
        CODE("r9") "strb r7, [r5, r6]\n\t"
        CODE("r10") "strb r7, [r5, r6, lsl #1]\n\t"
        CODE("r8") "strb r7, [r5], #-1\n\t"
        "ldmia r0!, {r2, r3, r4}\n\t"
        "lsl r11, r11, #1\n\t"
        "lsl r12, r12, #1\n\t"
        "lsl lr, lr, #1\n\t"
        CODE("r12") "strb r7, [r5, r6]\n\t"
        CODE("lr") "strb r7, [r5, r6, lsl #1]\n\t"
        CODE("r11") "strb r7, [r5], #3\n\t"
        "ldr r7, [sp, #12]\n\t"
        "cmp r5, r7\n\t"
        "bne 1b\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r11, pc}\n\t");
}

#else

void tk_tile_s8_dsp(const tk_block_s8_dsp *block, const uint32_t *patches, int8_t *out, int32_t pitch) {
    for (int32_t pair = 0; pair < block->pairs; pair++) {
        for (int32_t i = 0; i < 3; i++) {
            tk_pair_s8_dsp(block, pair, patches + i, 3, out + i * pitch + 2 * pair);
        }
    }
}

#endif
