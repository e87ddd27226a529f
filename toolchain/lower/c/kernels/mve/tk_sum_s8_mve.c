#include "tk_sum_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* r1 b, r2 a, r3 out; r4-r12 and r0 the parameters; q3 2^20, q4 gain, q5 low, q6 high. */
__attribute__((naked)) static void row(const void *p __attribute__((unused)),
                                       const int8_t *a __attribute__((unused)),
                                       const int8_t *b __attribute__((unused)),
                                       int8_t *out __attribute__((unused)),
                                       int32_t count __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r12, lr}\n"
        "   vpush {d8-d13}\n"
        "   eor r1, r1, r2\n"
        "   eor r2, r1, r2\n"
        "   eor r1, r1, r2\n"
        "   ldr r4, [r0, #40]\n"
        "   vdup.32 q4, r4\n"
        "   ldrd r4, r5, [r0, #44]\n"
        "   vdup.32 q5, r4\n"
        "   vdup.32 q6, r5\n"
        "   mov r4, #1048576\n"
        "   vdup.32 q3, r4\n"
        "   ldr lr, [sp, #88]\n"
        "   ldr r12, [r0, #36]\n" /* b_fix */
        "   ldm r0, {r0, r4, r5, r6, r7, r8, r9, r10, r11}\n"
        "   dlstp.32 lr, lr\n"
        "1: vldrb.s32 q0, [r1], #4\n"
        "   vmlas.s32 q0, q3, r0\n"
        "   vqrdmulh.s32 q0, q0, r4\n"
        "   vldrb.s32 q2, [r2], #4\n"
        "   vshr.s32 q1, q0, #31\n"
        "   vmla.s32 q0, q1, r12\n"
        "   vmlas.s32 q2, q4, r7\n"
        "   vrshl.s32 q0, r5\n"
        "   vmla.s32 q2, q0, r6\n"
        "   vqrdmulh.s32 q2, q2, r8\n"
        "   vshr.s32 q1, q2, #31\n"
        "   vmla.s32 q2, q1, r11\n"
        "   vrshl.s32 q2, r9\n"
        "   vadd.i32 q2, q2, r10\n"
        "   vmax.s32 q2, q2, q5\n"
        "   vmin.s32 q2, q2, q6\n"
        "   vstrb.32 q2, [r3], #4\n"
        "   letp lr, 1b\n"
        "   vpop {d8-d13}\n"
        "   pop {r4-r12, pc}\n");
}

#else

#include "tk_requantize.h"

static void row(const void *params, const int8_t *a, const int8_t *b, int8_t *out, int32_t count) {
    const tk_sum_s8_mve_params *p = params;
    for (int32_t i = 0; i < count; i++) {
        int32_t t = tk_requantize(b[i] * (1 << 20) + p->b_offset, p->b_multiplier, p->b_shift);
        int32_t acc = a[i] * p->gain + p->offset + p->sign * t;
        out[i] = tk_code_s8(tk_requantize(acc, p->multiplier, p->shift), p->zero_point,
                            p->low - p->zero_point, p->high - p->zero_point);
    }
}

#endif

void tk_sum_s8_mve(const tk_sum_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    tk_binary_s8_mve(&p->walk, row, p, a, b, out);
}
