#include "tk_mul_s8_mve.h"

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* r1 a, r2 b, r3 out; r4-r9 the parameters; q2 low, q3 high. */
__attribute__((naked)) static void
row(const tk_mul_s8_mve_params *p __attribute__((unused)), const int8_t *a __attribute__((unused)),
    const int8_t *b __attribute__((unused)), int8_t *out __attribute__((unused))) {
    __asm__ volatile(
        "   push {r4-r10, lr}\n"
        "   ldr lr, [r0, #36]\n"
        "   ldrd r4, r5, [r0, #24]\n"
        "   vdup.32 q2, r4\n"
        "   vdup.32 q3, r5\n"
        "   ldm r0, {r4, r5, r6, r7, r8, r9}\n"
        "   dlstp.32 lr, lr\n"
        "1: vldrb.s32 q0, [r1], #4\n"
        "   vldrb.s32 q1, [r2], #4\n"
        "   vadd.i32 q0, q0, r4\n"
        "   vadd.i32 q1, q1, r5\n"
        "   vmul.i32 q0, q0, q1\n"
        "   vqrdmulh.s32 q0, q0, r6\n"
        "   vshr.s32 q1, q0, #31\n"
        "   vmla.s32 q0, q1, r8\n"
        "   vrshl.s32 q0, r7\n"
        "   vadd.i32 q0, q0, r9\n"
        "   vmax.s32 q0, q0, q2\n"
        "   vmin.s32 q0, q0, q3\n"
        "   vstrb.32 q0, [r3], #4\n"
        "   letp lr, 1b\n"
        "   pop {r4-r10, pc}\n");
}

#else

#include "tk_requantize.h"

static void row(const tk_mul_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t i = 0; i < p->size; i++) {
        int32_t acc = (a[i] + p->a_offset) * (b[i] + p->b_offset);
        out[i] = tk_code_s8(tk_requantize(acc, p->multiplier, p->shift), p->zero_point,
                            p->low - p->zero_point, p->high - p->zero_point);
    }
}

#endif

void tk_mul_s8_mve(const tk_mul_s8_mve_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t i = 0; i < p->rows; i++) {
        row(p, a + i * p->a_step, b + i * p->b_step, out + i * p->size);
    }
}
