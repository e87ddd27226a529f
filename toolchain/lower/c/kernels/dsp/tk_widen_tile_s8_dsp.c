#include "tk_widen_tile_s8_dsp.h"

#include "tk_dsp.h"

#ifdef TK_DSP_ASSEMBLY

TK_DSP_ASSEMBLY uint32_t *tk_widen_tile_s8_dsp(TK_DSP_REGISTER const int8_t *const x[3],
                                               TK_DSP_REGISTER int32_t bytes,
                                               TK_DSP_REGISTER uint32_t *words) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r10}\n\t"
        "ldmia r0, {r0, r3, r4}\n\t"
        "subs r1, r1, #4\n\t"
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
        "ldrsb r5, [r0]\n\t"
        "ldrsb r6, [r3]\n\t"
        "ldrsb r7, [r4]\n\t"
        "stmia r2!, {r5, r6, r7}\n\t"
        "4:\n\t"
        "mov r0, r2\n\t"
        "pop {r4-r10}\n\t"
        "bx lr\n\t");
}

#else

#include "tk_widen_row_s8_dsp.h"

uint32_t *tk_widen_tile_s8_dsp(const int8_t *const x[3], int32_t bytes, uint32_t *words) {
    for (int32_t i = 0; i < 3; i++) {
        tk_widen_row_s8_dsp(x[i], bytes, words + i, 3);
    }
    return words + (bytes + 1) / 2 * 3;
}

#endif
