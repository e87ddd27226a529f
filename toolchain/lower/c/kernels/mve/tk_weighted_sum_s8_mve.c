#include "tk_weighted_sum_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* r1 a, r2 b, r3 out, r5 b_weight, r6 offset; q2 a_weight, q3 low, q4 high. */
__attribute__((naked)) static void
row(const tk_weighted_sum_s8_mve_params *p __attribute__((unused)), const int8_t *a __attribute__((unused)),
    const int8_t *b __attribute__((unused)), int8_t *out __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r8, lr}\n"
        "   vpush {d8-d9}\n"
        "   ldr lr, [r0, #24]\n"
        "   ldm r0, {r4, r5, r6, r7, r8}\n"
        "   vdup.32 q2, r4\n"
        "   vdup.32 q3, r7\n"
        "   vdup.32 q4, r8\n"
        "   dlstp.32 lr, lr\n"
        "1: vldrb.s32 q0, [r1], #4\n"
        "   vmlas.s32 q0, q2, r6\n"
        "   vldrb.s32 q1, [r2], #4\n"
        "   vmla.s32 q0, q1, r5\n"
        "   vshr.s32 q0, q0, #21\n"
        "   vmax.s32 q0, q0, q3\n"
        "   vmin.s32 q0, q0, q4\n"
        "   vstrb.32 q0, [r3], #4\n"
        "   letp lr, 1b\n"
        "   vpop {d8-d9}\n"
        "   pop {r4-r8, pc}\n");
}

#else

static void row(const tk_weighted_sum_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t code = (a[i] * p->a_weight + p->offset + b[i] * p->b_weight) >> 21;
        out[i] = (int8_t)(code < p->low ? p->low : code > p->high ? p->high : code);
    }
}

#endif

void tk_weighted_sum_s8_mve(const tk_weighted_sum_s8_mve_params *p, const int8_t *a, const int8_t *b,
                            int8_t *out) {
    for (int32_t i = 0; i < p->rows; i++) {
        row(p, a + i * p->a_step, b + i * p->b_step, out + i * p->size);
    }
}
