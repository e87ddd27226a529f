#include "tk_dot_two_s8_scalar.h"

#if defined(__thumb2__)
#define TWO_BY_FOUR                                                                              \
    "ldrsb r12, [r1], #1\n ldrsb lr, [r2], #1\n ldrsb r0, [r3], #1\n"                            \
    "mla r4, r12, r0, r4\n mla r8, lr, r0, r8\n ldrsb r0, [r3], #1\n"                            \
    "mla r5, r12, r0, r5\n mla r9, lr, r0, r9\n ldrsb r0, [r3], #1\n"                            \
    "mla r6, r12, r0, r6\n mla r10, lr, r0, r10\n ldrsb r0, [r3], #1\n"                          \
    "mla r7, r12, r0, r7\n mla r11, lr, r0, r11\n"

/* r1: x0, r2: x1, r3: w, r4 to r11: sums. On the stack: runs left, length, what follows a run, the ends in x0
 * of its fours and of itself; at 56: sums. */
__attribute__((naked)) const int8_t *tk_dot_two_s8_scalar(const tk_runs *runs __attribute__((unused)),
                                                          const int8_t *x0 __attribute__((unused)),
                                                          const int8_t *x1 __attribute__((unused)),
                                                          const int8_t *w __attribute__((unused)),
                                                          int32_t sums[8] __attribute__((unused))) {
    __asm__(
        "push {r4-r11, lr}\n"
        "sub sp, sp, #20\n"
        "ldm r0, {r4, r5, r6}\n"
        "subs r6, r6, r5\n"
        "stm sp, {r4, r5, r6}\n"
        "ldr r0, [sp, #56]\n"
        "ldm r0, {r4-r11}\n"
        "1: ldr r0, [sp, #4]\n"
        "add r12, r1, r0\n"
        "bic r0, r0, #3\n"
        "add r0, r1, r0\n"
        "strd r0, r12, [sp, #12]\n"
        "b 3f\n"
        "2:\n" TWO_BY_FOUR TWO_BY_FOUR TWO_BY_FOUR TWO_BY_FOUR
        "3: ldr r0, [sp, #12]\n"
        "cmp r1, r0\n"
        "bne 2b\n"
        "b 5f\n"
        "4:\n" TWO_BY_FOUR
        "5: ldr r0, [sp, #16]\n"
        "cmp r1, r0\n"
        "bne 4b\n"
        "ldrd r0, r12, [sp, #4]\n"
        "add r1, r1, r12\n"
        "add r2, r2, r12\n"
        "ldr r0, [sp]\n"
        "subs r0, r0, #1\n"
        "str r0, [sp]\n"
        "bne 1b\n"
        "ldr r0, [sp, #56]\n"
        "stm r0, {r4-r11}\n"
        "add sp, sp, #20\n"
        "mov r0, r3\n"
        "pop {r4-r11, pc}\n");
}
#elif defined(__thumb__)
const int8_t *tk_dot_two_s8_scalar(const tk_runs *runs, const int8_t *x0, const int8_t *x1, const int8_t *w,
                                   int32_t sums[8]) {
    tk_dot_one_s8_scalar(runs, x0, w, sums);
    return tk_dot_one_s8_scalar(runs, x1, w, sums + 4);
}
#else
#define TWO_BY_FOUR(k)                                       \
    do {                                                     \
        const int32_t p = x0[k], q = x1[k];                  \
        a0 += p * w[4 * (k)], b0 += q * w[4 * (k)];          \
        a1 += p * w[4 * (k) + 1], b1 += q * w[4 * (k) + 1];  \
        a2 += p * w[4 * (k) + 2], b2 += q * w[4 * (k) + 2];  \
        a3 += p * w[4 * (k) + 3], b3 += q * w[4 * (k) + 3];  \
    } while (0)

const int8_t *tk_dot_two_s8_scalar(const tk_runs *runs, const int8_t *x0, const int8_t *x1, const int8_t *w,
                                   int32_t sums[8]) {
    int32_t a0 = sums[0], a1 = sums[1], a2 = sums[2], a3 = sums[3];
    int32_t b0 = sums[4], b1 = sums[5], b2 = sums[6], b3 = sums[7];
    for (int32_t left = runs->count; left > 0; left--) {
        const int8_t *const fours = w + 4 * (runs->length & ~3), *const end = w + 4 * runs->length;
        for (; w != fours; w += 16, x0 += 4, x1 += 4) {
            TWO_BY_FOUR(0);
            TWO_BY_FOUR(1);
            TWO_BY_FOUR(2);
            TWO_BY_FOUR(3);
        }
        for (; w != end; w += 4, x0++, x1++) {
            TWO_BY_FOUR(0);
        }
        x0 += runs->pitch - runs->length;
        x1 += runs->pitch - runs->length;
    }
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
    sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
    return w;
}
#endif
