#include "tk_pieces_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

__attribute__((naked)) void
tk_copy_pieces_s8_mve(const tk_pieces_s8_mve *pieces __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r8, lr}\n"
        "   ldm r0, {r0, r1, r2, r3, r4, r5}\n" /* to, to_step, from, from_step, run, count */
        "   cmp r5, #0\n"
        "   ble 4f\n"
        "   cmp r4, #16\n"
        "   bhi 2f\n"
        "   vctp.8 r4\n"
        "   dls lr, r5\n"
        "1: vpstt\n" /* pieces of one vector */
        "   vldrbt.u8 q0, [r2]\n"
        "   vstrbt.8 q0, [r0]\n"
        "   add r2, r2, r3\n"
        "   add r0, r0, r1\n"
        "   le lr, 1b\n"
        "   b 4f\n"
        "2: mov r6, r2\n" /* pieces of several */
        "   mov r7, r0\n"
        "   dlstp.8 lr, r4\n"
        "3: vldrb.u8 q0, [r6], #16\n"
        "   vstrb.8 q0, [r7], #16\n"
        "   letp lr, 3b\n"
        "   add r2, r2, r3\n"
        "   add r0, r0, r1\n"
        "   subs r5, r5, #1\n"
        "   bne 2b\n"
        "4: pop {r4-r8, pc}\n");
}

__attribute__((naked)) void tk_fill_pieces_s8_mve(const tk_pieces_s8_mve *pieces __attribute__((unused)),
                                                  int32_t value __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r8, lr}\n"
        "   vdup.8 q0, r1\n"
        "   ldm r0, {r0, r1, r2, r3, r4, r5}\n"
        "   cmp r5, #0\n"
        "   ble 3f\n"
        "1: mov r7, r0\n"
        "   dlstp.8 lr, r4\n"
        "2: vstrb.8 q0, [r7], #16\n"
        "   letp lr, 2b\n"
        "   add r0, r0, r1\n"
        "   subs r5, r5, #1\n"
        "   bne 1b\n"
        "3: pop {r4-r8, pc}\n");
}

#else

void tk_copy_pieces_s8_mve(const tk_pieces_s8_mve *pieces) {
    for (int32_t i = 0; i < pieces->count; i++) {
        for (int32_t k = 0; k < pieces->run; k++) {
            pieces->to[i * pieces->to_step + k] = pieces->from[i * pieces->from_step + k];
        }
    }
}

void tk_fill_pieces_s8_mve(const tk_pieces_s8_mve *pieces, int32_t value) {
    for (int32_t i = 0; i < pieces->count; i++) {
        for (int32_t k = 0; k < pieces->run; k++) {
            pieces->to[i * pieces->to_step + k] = (int8_t)value;
        }
    }
}

#endif
