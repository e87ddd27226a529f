#include "tk_plane_rows_s8_dsp.h"

#include "tk_dsp.h"

#ifdef TK_DSP_ASSEMBLY

/* r1 a plane's first row that is filled, r2 place, r3 bytes, r5 a plane's bytes, r6 from, r7 word, r8 bytes from
 * there to where it comes from, r9 planes left */
TK_DSP_ASSEMBLY void tk_plane_rows_s8_dsp(TK_DSP_REGISTER const tk_depthwise_s8_dsp_params *p,
                                          TK_DSP_REGISTER int8_t *planes, TK_DSP_REGISTER int32_t to,
                                          TK_DSP_REGISTER int32_t rows, TK_DSP_REGISTER int32_t from) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r9, lr}\n\t"
        "ldr r6, [sp, #28]\n\t"
        "ldrh r4, [r0, #28]\n\t"
        "ldrh r5, [r0, #26]\n\t"
        "ldrb r7, [r0, #10]\n\t"
        "muls r3, r4, r3\n\t"
        "ble 5f\n\t"
        "mul r5, r5, r4\n\t"
        "mla r1, r2, r4, r1\n\t"
        "sub r8, r6, r2\n\t"
        "mul r8, r8, r4\n\t"
        "lsl r7, r7, #8\n\t"
        "orr r7, r7, r7, lsl #16\n\t"
        "mov r9, #4\n\t"
        "1:\n\t"
        "mov r0, r3\n\t"
        "mov r2, r1\n\t"
        "add r12, r1, r8\n\t"
        "cmp r6, #0\n\t"
        "blt 3f\n\t"
        "2:\n\t"
        "ldr r7, [r12], #4\n\t"
        "str r7, [r2], #4\n\t"
        "subs r0, r0, #4\n\t"
        "bne 2b\n\t"
        "b 4f\n\t"
        "3:\n\t"
        "str r7, [r2], #4\n\t"
        "subs r0, r0, #4\n\t"
        "bne 3b\n\t"
        "4:\n\t"
        "add r1, r1, r5\n\t"
        "subs r9, r9, #1\n\t"
        "bne 1b\n\t"
        "5:\n\t"
        "pop {r4-r9, pc}\n\t");
}

#else

void tk_plane_rows_s8_dsp(const tk_depthwise_s8_dsp_params *p, int8_t *planes, int32_t to, int32_t rows,
                          int32_t from) {
    const uint32_t code = (uint32_t)p->fill << 8 & 0xff00u, padding = code | code << 16;
    const int32_t pitch = p->pitch;
    for (int32_t plane = 0; plane < 4; plane++, planes += p->scratch_rows * pitch) {
        for (int32_t i = 0; i < rows * pitch; i += 4) {
            tk_put_word(planes + to * pitch + i, from < 0 ? padding : tk_word(planes + from * pitch + i));
        }
    }
}

#endif
