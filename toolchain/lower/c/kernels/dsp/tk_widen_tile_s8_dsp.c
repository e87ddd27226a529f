#include "tk_widen_tile_s8_dsp.h"

#include "tk_dsp.h"

#ifdef TK_DSP_ASSEMBLY

TK_DSP_ASSEMBLY uint32_t *tk_widen_tile_s8_dsp(TK_DSP_REGISTER const int8_t *const x[3],
                                               TK_DSP_REGISTER int32_t bytes,
                                               TK_DSP_REGISTER uint32_t *words,
                                               TK_DSP_REGISTER int32_t rows, TK_DSP_REGISTER int32_t pitch) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r11, lr}\n\t"
        "ldr r11, [sp, #36]\n\t"
        "mov r12, r3\n\t"
        "mov lr, r1\n\t"
        "sub r11, r11, r1\n\t" /* from the end of a row to the next */
        "ldmia r0, {r0, r3, r4}\n\t"
        "0:\n\t"
        "subs r1, lr, #4\n\t"
        "blo 2f\n\t"
        "1:\n\t"
        "ldr r5, [r0], #4\n\t"
        "ldr r6, [r3], #4\n\t"
        "ldr r7, [r4], #4\n\t"
        "subs r1, r1, #4\n\t"
        "sxtb16 r8, r5\n\t"
        "sxtb16 r9, r6\n\t"
        "sxtb16 r10, r7\n\t"
        "stmia r2!, {r8, r9, r10}\n\t"
        "sxtb16 r5, r5, ror #8\n\t"
        "sxtb16 r6, r6, ror #8\n\t"
        "sxtb16 r7, r7, ror #8\n\t"
        "stmia r2!, {r5, r6, r7}\n\t"
        "bhs 1b\n\t"
        "2:\n\t"
        "lsls r1, r1, #31\n\t"
        "bcc 3f\n\t"
        "ldrh r5, [r0], #2\n\t"
        "ldrh r6, [r3], #2\n\t"
        "ldrh r7, [r4], #2\n\t"
        "orr r5, r5, r5, lsl #8\n\t"
        "orr r6, r6, r6, lsl #8\n\t"
        "orr r7, r7, r7, lsl #8\n\t"
        "sxtb16 r5, r5\n\t"
        "sxtb16 r6, r6\n\t"
        "sxtb16 r7, r7\n\t"
        "stmia r2!, {r5, r6, r7}\n\t"
        "3:\n\t"
        "bpl 4f\n\t"
        "ldrsb r5, [r0], #1\n\t"
        "ldrsb r6, [r3], #1\n\t"
        "ldrsb r7, [r4], #1\n\t"
        "stmia r2!, {r5, r6, r7}\n\t"
        "4:\n\t"
        "add r0, r0, r11\n\t"
        "add r3, r3, r11\n\t"
        "add r4, r4, r11\n\t"
        "subs r12, r12, #1\n\t"
        "bne 0b\n\t"
        "mov r0, r2\n\t"
        "pop {r4-r11, pc}\n\t");
}

#else

#include "tk_widen_row_s8_dsp.h"

uint32_t *tk_widen_tile_s8_dsp(const int8_t *const x[3], int32_t bytes, uint32_t *words, int32_t rows,
                               int32_t pitch) {
    for (int32_t row = 0; row < rows; row++, words += (bytes + 1) / 2 * 3) {
        for (int32_t i = 0; i < 3; i++) {
            tk_widen_row_s8_dsp(x[i] + row * pitch, bytes, words + i, 3);
        }
    }
    return words;
}

#endif
