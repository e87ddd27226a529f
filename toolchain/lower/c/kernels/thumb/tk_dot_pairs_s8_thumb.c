#include "tk_dot_pairs_s8_thumb.h"

#if defined(__thumb__) && !defined(__thumb2__)
#define STEP                                                                                       \
    "ldm r0!, {r2, r3}\n ldm r1!, {r4}\n"                                                          \
    "sxtb r5, r4\n muls r5, r2\n asrs r4, r4, #8\n sxtb r6, r4\n muls r6, r3\n adds r5, r5, r6\n"  \
    "add r8, r5\n add r5, r12\n asrs r5, r5, #16\n add r9, r5\n asrs r4, r4, #8\n"                 \
    "sxtb r5, r4\n muls r5, r2\n asrs r4, r4, #8\n muls r4, r3\n adds r5, r5, r4\n"                \
    "add r10, r5\n add r5, r12\n asrs r5, r5, #16\n add r11, r5\n"

/* r0: pairs, r1: w, r7: the end of pairs, r8 to r11: sums, r12: 2^15. */
__attribute__((naked)) const int32_t *tk_dot_pairs_s8_thumb(const int32_t *pairs __attribute__((unused)),
                                                            const int32_t *w __attribute__((unused)),
                                                            int32_t steps __attribute__((unused)),
                                                            int32_t sums[4] __attribute__((unused))) {
    __asm__(
        ".syntax unified\n"
        "push {r4-r7, lr}\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
        "push {r3-r7}\n"
        "ldm r3!, {r4-r7}\n"
        "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "lsls r7, r2, #3\n"
        "adds r7, r7, r0\n"
        "movs r4, #128\n"
        "lsls r4, r4, #8\n"
        "mov r12, r4\n"
        "1:\n" STEP STEP
        "cmp r0, r7\n"
        "bne 1b\n"
        "movs r0, r1\n"
        "pop {r3}\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
        "stm r3!, {r4-r7}\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}
#else
/* Two products of a pair with weights in the two bytes from bit `at` on. */
static int32_t products(const int32_t *pairs, int32_t w, int32_t at) {
    return pairs[0] * (int8_t)(w >> at) + pairs[1] * (int8_t)(w >> (at + 8));
}

const int32_t *tk_dot_pairs_s8_thumb(const int32_t *pairs, const int32_t *w, int32_t steps, int32_t sums[4]) {
    for (const int32_t *const end = w + steps; w != end; w++, pairs += 2) {
        for (int32_t c = 0; c < 2; c++) {
            const int32_t sum = products(pairs, *w, 16 * c);
            sums[2 * c] = (int32_t)((uint32_t)sums[2 * c] + (uint32_t)sum);
            sums[2 * c + 1] += (sum + (1 << 15)) >> 16;
        }
    }
    return w;
}
#endif
