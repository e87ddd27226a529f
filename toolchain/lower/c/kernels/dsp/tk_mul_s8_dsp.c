#include "tk_mul_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"

static void one_row(const tk_mul_s8_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    const int32_t scale[3] = {p->scale[0], p->scale[1], p->scale[2]};
    const uint32_t a_zero = tk_halves(-2 * p->a_zero_point, -2 * p->a_zero_point);
    const uint32_t b_zero = tk_halves(-p->b_zero_point, -p->b_zero_point);
    int32_t left = p->size;
    for (; left >= 4; left -= 4) {
        const uint32_t a_codes = tk_word(a), b_codes = tk_word(b);
        const uint32_t a_even = tk_sxtab16(tk_sxtab16(a_zero, a_codes), a_codes);
        const uint32_t a_odd = tk_sxtab16_odd(tk_sxtab16_odd(a_zero, a_codes), a_codes);
        const uint32_t b_even = tk_sxtab16(b_zero, b_codes), b_odd = tk_sxtab16_odd(b_zero, b_codes);
        out[0] = tk_output_s8_dsp(scale, tk_smulbb(a_even, b_even));
        out[1] = tk_output_s8_dsp(scale, tk_smulbb(a_odd, b_odd));
        out[2] = tk_output_s8_dsp(scale, tk_smultt(a_even, b_even));
        out[3] = tk_output_s8_dsp(scale, tk_smultt(a_odd, b_odd));
        a += 4;
        b += 4;
        out += 4;
    }
    for (; left > 0; left--) {
        const int32_t product = (*a++ - p->a_zero_point) * (*b++ - p->b_zero_point);
        *out++ = tk_output_s8_dsp(scale, 2 * product);
    }
}

void tk_mul_s8_dsp(const tk_mul_s8_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        one_row(p, a, b, out);
        tk_clamp_s8_dsp(out, p->size, p->low, p->high);
        a += p->a_step;
        b += p->b_step;
        out += p->size;
    }
}
