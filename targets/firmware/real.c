#include "real.h"

#include "text.h"

#define INVERSE ((int64_t)(16777216.0 / TK_INPUT_SCALE + 0.5))

/* A float in 2^-20, from its bits (IEEE 754: 1 sign, 8 exponent with bias 127, 23 mantissa). */
static int32_t fixed(const uint8_t *real) {
    uint32_t bits = (uint32_t)real[0] | (uint32_t)real[1] << 8 | (uint32_t)real[2] << 16 | (uint32_t)real[3] << 24;
    int32_t mantissa = (int32_t)((bits & 0x7FFFFFu) | 0x800000u);
    int32_t shift = (int32_t)(bits >> 23 & 255u) - 130;
    int32_t magnitude = shift > 6 ? 0x7FFFFFFF : shift >= 0 ? mantissa << shift : shift > -24 ? mantissa >> -shift : 0;
    return bits >> 31 ? -magnitude : magnitude;
}

void real_quantize(const uint8_t *reals, int8_t *codes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        int64_t code = fixed(reals + 4 * i) * INVERSE;
        code = code < 0 ? -((-code + ((int64_t)1 << 43)) >> 44) : (code + ((int64_t)1 << 43)) >> 44;
        code += TK_INPUT_ZERO_POINT;
        codes[i] = (int8_t)(code < -128 ? -128 : code > 127 ? 127 : code);
    }
}

uint64_t real_score(const int8_t *outputs, const uint8_t *reals, const int8_t *codes, uint32_t count) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t output = (outputs[i] - TK_OUTPUT_ZERO_POINT) * REAL_FIXED(TK_OUTPUT_SCALE) >> 12;
        int64_t input = reals ? fixed(reals + 4 * i)
                              : (codes[i] - TK_INPUT_ZERO_POINT) * REAL_FIXED(TK_INPUT_SCALE) >> 12;
        int64_t difference = (output - input) >> 4;
        sum += (uint64_t)(difference * difference);
    }
    text_divide(&sum, count);
    return sum;
}
