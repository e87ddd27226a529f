#include "tk_dot_one_s8_scalar.h"

#if defined(__thumb__) && !defined(__thumb2__)
#define ONE_BY_FOUR(k)                                                                              \
    "ldrb r2, [r1, #" #k "]\n sxtb r2, r2\n"                                                        \
    "ldrsb r3, [r4, r0]\n muls r3, r2\n add r8, r3\n ldrsb r3, [r5, r0]\n muls r3, r2\n add r9, r3\n"   \
    "ldrsb r3, [r6, r0]\n muls r3, r2\n add r10, r3\n ldrsb r3, [r7, r0]\n muls r3, r2\n add r11, r3\n" \
    "adds r0, #4\n"

/* r1: x, r4 to r7: w and what follows it, r0: their index, r8 to r11: sums, r12: an end in x. On the stack:
 * runs left, length, what follows a run; at 12: sums. */
__attribute__((naked)) const int8_t *tk_dot_one_s8_scalar(const tk_runs *runs __attribute__((unused)),
                                                          const int8_t *x __attribute__((unused)),
                                                          const int8_t *w __attribute__((unused)),
                                                          int32_t sums[4] __attribute__((unused))) {
    __asm__(
        ".syntax unified\n"
        "push {r4-r7, lr}\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
        "push {r3-r7}\n"
        "ldm r3!, {r4-r7}\n"
        "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "ldm r0!, {r4, r5, r6}\n"
        "subs r6, r6, r5\n"
        "push {r4, r5, r6}\n"
        "movs r4, r2\n adds r5, r4, #1\n adds r6, r4, #2\n adds r7, r4, #3\n"
        "movs r0, #0\n"
        "1: ldr r3, [sp, #4]\n"
        "lsrs r3, r3, #2\n lsls r3, r3, #2\n"
        "adds r3, r3, r1\n"
        "mov r12, r3\n"
        "b 3f\n"
        "2:\n" ONE_BY_FOUR(0) ONE_BY_FOUR(1) ONE_BY_FOUR(2) ONE_BY_FOUR(3)
        "adds r1, #4\n"
        "3: cmp r1, r12\n"
        "bne 2b\n"
        "ldr r3, [sp, #4]\n"
        "movs r2, #3\n ands r3, r2\n"
        "adds r3, r3, r1\n"
        "mov r12, r3\n"
        "b 5f\n"
        "4:\n" ONE_BY_FOUR(0)
        "adds r1, #1\n"
        "5: cmp r1, r12\n"
        "bne 4b\n"
        "ldr r3, [sp, #8]\n"
        "adds r1, r1, r3\n"
        "ldr r3, [sp]\n"
        "subs r3, #1\n"
        "str r3, [sp]\n"
        "bne 1b\n"
        "adds r0, r0, r4\n"
        "ldr r3, [sp, #12]\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
        "stm r3!, {r4-r7}\n"
        "add sp, #16\n"
        "pop {r4-r7}\n"
        "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "pop {r4-r7, pc}\n");
}
#elif defined(__thumb2__)
#define ONE_BY_FOUR                                                                      \
    "ldrsb r12, [r1], #1\n ldrsb r0, [r2], #1\n mla r4, r12, r0, r4\n"                   \
    "ldrsb r0, [r2], #1\n mla r5, r12, r0, r5\n ldrsb r0, [r2], #1\n"                    \
    "mla r6, r12, r0, r6\n ldrsb r0, [r2], #1\n mla r7, r12, r0, r7\n"

/* r1: x, r2: w, r4 to r7: sums, r8: runs left, r9: what follows a run, r10: its length, r11, lr: ends in x of
 * its eights and of itself. */
__attribute__((naked)) const int8_t *tk_dot_one_s8_scalar(const tk_runs *runs __attribute__((unused)),
                                                          const int8_t *x __attribute__((unused)),
                                                          const int8_t *w __attribute__((unused)),
                                                          int32_t sums[4] __attribute__((unused))) {
    __asm__(
        "push {r3-r11, lr}\n"
        "ldm r0, {r8, r9, r12}\n"
        "mov r10, r9\n"
        "sub r9, r12, r9\n"
        "ldm r3, {r4-r7}\n"
        "1: bic r11, r10, #7\n"
        "add r11, r1, r11\n"
        "add lr, r1, r10\n"
        "b 3f\n"
        "2:\n" ONE_BY_FOUR ONE_BY_FOUR ONE_BY_FOUR ONE_BY_FOUR
        ONE_BY_FOUR ONE_BY_FOUR ONE_BY_FOUR ONE_BY_FOUR
        "3: cmp r1, r11\n"
        "bne 2b\n"
        "b 5f\n"
        "4:\n" ONE_BY_FOUR
        "5: cmp r1, lr\n"
        "bne 4b\n"
        "add r1, r1, r9\n"
        "subs r8, r8, #1\n"
        "bne 1b\n"
        "pop {r3}\n"
        "stm r3, {r4-r7}\n"
        "mov r0, r2\n"
        "pop {r4-r11, pc}\n");
}
#else
#define ONE_BY_FOUR(k)                                          \
    do {                                                        \
        const int32_t value = x[k];                             \
        s0 += value * w[4 * (k)], s1 += value * w[4 * (k) + 1]; \
        s2 += value * w[4 * (k) + 2], s3 += value * w[4 * (k) + 3]; \
    } while (0)

const int8_t *tk_dot_one_s8_scalar(const tk_runs *runs, const int8_t *x, const int8_t *w, int32_t sums[4]) {
    int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    for (int32_t left = runs->count; left > 0; left--) {
        const int8_t *const fours = w + 4 * (runs->length & ~3), *const end = w + 4 * runs->length;
        for (; w != fours; w += 16, x += 4) {
            ONE_BY_FOUR(0);
            ONE_BY_FOUR(1);
            ONE_BY_FOUR(2);
            ONE_BY_FOUR(3);
        }
        for (; w != end; w += 4, x++) {
            ONE_BY_FOUR(0);
        }
        x += runs->pitch - runs->length;
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
    return w;
}
#endif
