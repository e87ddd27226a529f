#include "tk_planes_s8_dsp.h"

#include "tk_dsp.h"

#ifdef TK_DSP_ASSEMBLY

/* r0 p, r1 x, r2 rows left, r3 to; r4 and r5 one and three planes' bytes, r6 mask of odd bytes, r7 step;
 * r8 pixel, r9 its place, r10 pixels left. */
TK_DSP_ASSEMBLY void tk_planes_s8_dsp(TK_DSP_REGISTER const tk_depthwise_s8_dsp_params *p,
                                      TK_DSP_REGISTER const int8_t *x, TK_DSP_REGISTER int32_t rows,
                                      TK_DSP_REGISTER int8_t *to) {
    __asm__(
        ".syntax unified\n\t"
        "push {r4-r11, lr}\n\t"
        "cmp r2, #0\n\t"
        "ble 7f\n\t"
        "ldrh r4, [r0, #26]\n\t"
        "ldrh r5, [r0, #28]\n\t"
        "mul r4, r4, r5\n\t"
        "add r5, r4, r4, lsl #1\n\t"
        "mov r6, #0xff00ff00\n\t"
        "ldrh r7, [r0, #32]\n\t"
        "ldrb r8, [r0, #8]\n\t"
        "add r3, r3, r8, lsl #1\n\t"
        "1:\n\t"
        "mov r8, r1\n\t"
        "mov r9, r3\n\t"
        "ldrh r10, [r0, #16]\n\t"
        "lsls r11, r3, #30\n\t"
        "it mi\n\t"
        "blmi 6f\n\t"
        "subs r10, r10, #2\n\t"
        "blo 3f\n\t"
        "2:\n\t"
        "ldr r11, [r8]\n\t"
        "ldr r12, [r8, r7]\n\t"
        "add r8, r8, r7, lsl #1\n\t"
        "pkhbt lr, r11, r12, lsl #16\n\t"
        "pkhtb r11, r12, r11, asr #16\n\t"
        "and r12, r6, lr, lsl #8\n\t"
        "and lr, r6, lr\n\t"
        "str lr, [r9, r4]\n\t"
        "and lr, r6, r11, lsl #8\n\t"
        "and r11, r6, r11\n\t"
        "str lr, [r9, r4, lsl #1]\n\t"
        "str r11, [r9, r5]\n\t"
        "str r12, [r9], #4\n\t"
        "subs r10, r10, #2\n\t"
        "bhs 2b\n\t"
        "3:\n\t"
        "lsls r11, r10, #31\n\t"
        "it mi\n\t"
        "blmi 6f\n\t"
        "ldrh r11, [r0, #30]\n\t"
        "add r1, r1, r11\n\t"
        "ldrh r11, [r0, #28]\n\t"
        "add r3, r3, r11\n\t"
        "subs r2, r2, #1\n\t"
        "bne 1b\n\t"
        "b 7f\n\t"
        /* One pixel. */
        "6:\n\t"
        "ldr r11, [r8]\n\t"
        "add r8, r8, r7\n\t"
        "sub r10, r10, #1\n\t"
        "and r12, r6, r11, lsl #8\n\t"
        "and r11, r6, r11\n\t"
        "strh r12, [r9]\n\t"
        "strh r11, [r9, r4]\n\t"
        "lsr r12, r12, #16\n\t"
        "lsr r11, r11, #16\n\t"
        "strh r12, [r9, r4, lsl #1]\n\t"
        "strh r11, [r9, r5]\n\t"
        "add r9, r9, #2\n\t"
        "bx lr\n\t"
        "7:\n\t"
        "pop {r4-r11, pc}\n\t");
}

#else

/* Pixel i of a row to its place in each of the four. */
void tk_planes_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int32_t rows, int8_t *to) {
    for (int32_t row = 0; row < rows; row++, x += p->row_step, to += p->pitch) {
        for (int32_t i = 0; i < p->columns; i++) {
            int8_t *place = to + 2 * (p->pad_left + i);
            for (int32_t channel = 0; channel < 4; channel++, place += p->scratch_rows * p->pitch) {
                tk_put_half(place, (uint32_t)x[i * p->column_step + channel] << 8);
            }
        }
    }
}

#endif
