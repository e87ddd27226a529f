#include "tk_weighted_sum_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_dsp.h"

/* The value's code, 21 bits below the point dropped. */
static inline int8_t code_of(int32_t value) {
#ifdef __ARM_FEATURE_DSP
    int32_t code;
    __asm__("ssat %0, #8, %1, asr #21" : "=r"(code) : "r"(value));
    return (int8_t)code;
#else
    return (int8_t)tk_ssat8(value >> 21);
#endif
}

static void one_row(const tk_weighted_sum_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    const int32_t a_weight = p->a_weight, b_weight = p->b_weight, offset = p->offset;
    const uint32_t odd_bytes = tk_kept(0xff00ff00u);
    int32_t left = p->size;
    for (; left >= 4; left -= 4) {
        const uint32_t a_codes = tk_word(a), b_codes = tk_word(b);
        const uint32_t a_even = a_codes << 8 & odd_bytes, b_even = b_codes << 8 & odd_bytes;
        const uint32_t a_odd = a_codes & odd_bytes, b_odd = b_codes & odd_bytes;
        out[0] = code_of(tk_smlawb(b_weight, b_even, tk_smlawb(a_weight, a_even, offset)));
        out[1] = code_of(tk_smlawb(b_weight, b_odd, tk_smlawb(a_weight, a_odd, offset)));
        out[2] = code_of(tk_smlawt(b_weight, b_even, tk_smlawt(a_weight, a_even, offset)));
        out[3] = code_of(tk_smlawt(b_weight, b_odd, tk_smlawt(a_weight, a_odd, offset)));
        a += 4;
        b += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        const uint32_t a_code = (uint32_t)*a++ << 8, b_code = (uint32_t)*b++ << 8;
        *out++ = code_of(tk_smlawb(b_weight, b_code, tk_smlawb(a_weight, a_code, offset)));
    }
}

void tk_weighted_sum_s8_dsp(const tk_weighted_sum_s8_params *p, const int8_t *a, const int8_t *b,
                            int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        one_row(p, a, b, out);
        tk_clamp_s8_dsp(out, p->size, p->low, p->high);
        a += p->a_step;
        b += p->b_step;
        out += p->size;
    }
}
