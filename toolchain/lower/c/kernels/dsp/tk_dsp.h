/* tk_dsp.h - instructions of the DSP extension (Armv7E-M, Armv8-M) as functions; the same in C elsewhere.
 *
 * A word holds two int16 (low half first) or four int8 (low byte first), as a little-endian load brings them.
 * Sums wrap at 32 bits, tk_smlald's at 64. Named as in the Armv7-M Architecture Reference Manual, chapter A7,
 * operands in its order. Reentrant; libc: memcpy (which becomes one load or store: any alignment).
 */
#ifndef TK_DSP_H
#define TK_DSP_H

#include <stdint.h>
#include <string.h>

/* Four bytes from any address. */
static inline uint32_t tk_word(const void *from) {
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Two bytes from any address, zeros above. */
static inline uint32_t tk_half(const void *from) {
    uint16_t half;
    memcpy(&half, from, sizeof half);
    return half;
}

static inline void tk_put_word(void *to, uint32_t word) {
    memcpy(to, &word, sizeof word);
}

static inline void tk_put_half(void *to, uint32_t word) {
    uint16_t half = (uint16_t)(word & 0xffffu);
    memcpy(to, &half, sizeof half);
}

/* bits in 1 to 31 */
static inline uint32_t tk_ror(uint32_t word, uint32_t bits) {
    return word >> bits | word << (32 - bits);
}

/* The low half, signed. */
static inline int32_t tk_low(uint32_t word) {
    return (int16_t)(word & 0xffffu);
}

/* The high half, signed. */
static inline int32_t tk_high(uint32_t word) {
    return (int16_t)(word >> 16);
}

/* A word of two halves; what does not fit is cut off. */
static inline uint32_t tk_halves(int32_t low, int32_t high) {
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* Byte `number` of a word, signed. */
static inline int32_t tk_byte(uint32_t word, uint32_t number) {
    return (int8_t)(word >> 8 * number & 0xffu);
}

/* word, which the compiler then keeps in a register instead of making it anew from its value. */
static inline uint32_t tk_kept(uint32_t word) {
#ifdef __ARM_FEATURE_DSP
    __asm__("" : "+r"(word));
#endif
    return word;
}

static inline int32_t tk_wrapping_sum(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
/* A function written as a whole in assembly, where this is defined, and its parameters. */
#define TK_DSP_ASSEMBLY __attribute__((naked))
#define TK_DSP_REGISTER __attribute__((unused))
#endif

#ifdef __ARM_FEATURE_DSP

#define TK_DSP_WORD(name, text, value)                                                                       \
    static inline uint32_t name(uint32_t a) {                                                                \
        uint32_t word;                                                                                       \
        __asm__(text : "=r"(word) : "r"(a));                                                                 \
        return word;                                                                                         \
    }
#define TK_DSP_WORDS(name, text, value)                                                                      \
    static inline uint32_t name(uint32_t a, uint32_t b) {                                                    \
        uint32_t word;                                                                                       \
        __asm__(text : "=r"(word) : "r"(a), "r"(b));                                                         \
        return word;                                                                                         \
    }
#define TK_DSP_BY_FLAGS(name, text, value)                                                                   \
    static inline uint32_t name(uint32_t a, uint32_t b) {                                                    \
        uint32_t word, spare;                                                                                \
        __asm__(text : "=&r"(spare), "=r"(word) : "r"(a), "r"(b) : "cc");                                    \
        return word;                                                                                         \
    }
#define TK_DSP_PRODUCT(name, text, value)                                                                    \
    static inline int32_t name(uint32_t a, uint32_t b) {                                                     \
        int32_t product;                                                                                     \
        __asm__(text : "=r"(product) : "r"(a), "r"(b));                                                      \
        return product;                                                                                      \
    }
#define TK_DSP_SUM(name, text, value)                                                                        \
    static inline int32_t name(uint32_t a, uint32_t b, int32_t sum) {                                        \
        int32_t total;                                                                                       \
        __asm__(text : "=r"(total) : "r"(a), "r"(b), "r"(sum));                                              \
        return total;                                                                                        \
    }
#define TK_DSP_SATURATE(name, text, low, high)                                                               \
    static inline int32_t name(int32_t value) {                                                              \
        int32_t code;                                                                                        \
        __asm__(text : "=r"(code) : "r"(value));                                                             \
        return code;                                                                                         \
    }
#define TK_DSP_HIGH(name, text, rounding)                                                                    \
    static inline int32_t name(int32_t a, int32_t b) {                                                       \
        int32_t high;                                                                                        \
        __asm__(text : "=r"(high) : "r"(a), "r"(b));                                                         \
        return high;                                                                                         \
    }

/* sum + low * low + high * high, in 64 bits */
static inline int64_t tk_smlald(uint32_t a, uint32_t b, int64_t sum) {
    __asm__("smlald %Q0, %R0, %1, %2" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

#else

#define TK_DSP_WORD(name, text, value)                                                                       \
    static inline uint32_t name(uint32_t a) { return value; }
#define TK_DSP_WORDS(name, text, value)                                                                      \
    static inline uint32_t name(uint32_t a, uint32_t b) { return value; }
#define TK_DSP_BY_FLAGS(name, text, value) TK_DSP_WORDS(name, text, value)
#define TK_DSP_PRODUCT(name, text, value)                                                                    \
    static inline int32_t name(uint32_t a, uint32_t b) { return value; }
#define TK_DSP_SUM(name, text, value)                                                                        \
    static inline int32_t name(uint32_t a, uint32_t b, int32_t sum) { return tk_wrapping_sum(sum, value); }
#define TK_DSP_SATURATE(name, text, low, high)                                                               \
    static inline int32_t name(int32_t value) { return value < low ? low : value > high ? high : value; }
#define TK_DSP_HIGH(name, text, rounding)                                                                    \
    static inline int32_t name(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b + rounding) >> 32); }

/* sum + low * low + high * high, in 64 bits */
static inline int64_t tk_smlald(uint32_t a, uint32_t b, int64_t sum) {
    int64_t products = (int64_t)(tk_low(a) * tk_low(b)) + tk_high(a) * tk_high(b);
    return (int64_t)((uint64_t)sum + (uint64_t)products);
}

static inline uint32_t tk_larger_bytes(uint32_t a, uint32_t b) {
    uint32_t word = 0;
    for (uint32_t i = 0; i < 4; i++) {
        word |= (tk_byte(a, i) >= tk_byte(b, i) ? a : b) & 0xffu << 8 * i;
    }
    return word;
}

#endif

/* Bytes 0 and 2, or 1 and 3, as two signed halves. */
TK_DSP_WORD(tk_sxtb16, "sxtb16 %0, %1", tk_halves(tk_byte(a, 0), tk_byte(a, 2)))
TK_DSP_WORD(tk_sxtb16_odd, "sxtb16 %0, %1, ror #8", tk_halves(tk_byte(a, 1), tk_byte(a, 3)))
/* a's halves plus bytes 0 and 2 of b, or 1 and 3. */
TK_DSP_WORDS(tk_sxtab16, "sxtab16 %0, %1, %2",
             tk_halves(tk_low(a) + tk_byte(b, 0), tk_high(a) + tk_byte(b, 2)))
TK_DSP_WORDS(tk_sxtab16_odd, "sxtab16 %0, %1, %2, ror #8",
             tk_halves(tk_low(a) + tk_byte(b, 1), tk_high(a) + tk_byte(b, 3)))
/* Both low halves, or both high halves; a's below. */
TK_DSP_WORDS(tk_low_halves, "pkhbt %0, %1, %2, lsl #16", tk_halves(tk_low(a), tk_low(b)))
TK_DSP_WORDS(tk_high_halves, "pkhtb %0, %2, %1, asr #16", tk_halves(tk_high(a), tk_high(b)))
/* Sums and differences of halves, which wrap. */
TK_DSP_WORDS(tk_sadd16, "sadd16 %0, %1, %2", tk_halves(tk_low(a) + tk_low(b), tk_high(a) + tk_high(b)))
TK_DSP_WORDS(tk_ssub16, "ssub16 %0, %1, %2", tk_halves(tk_low(a) - tk_low(b), tk_high(a) - tk_high(b)))
/* The larger, or smaller, of each pair of signed bytes: SSUB8 sets a flag a byte, SEL takes by them. */
TK_DSP_BY_FLAGS(tk_max_s8x4, "ssub8 %0, %2, %3\n\tsel %1, %2, %3", tk_larger_bytes(a, b))
TK_DSP_BY_FLAGS(tk_min_s8x4, "ssub8 %0, %2, %3\n\tsel %1, %3, %2", ~tk_larger_bytes(~a, ~b))

/* low * low + high * high; crosswise; one half of each. */
TK_DSP_PRODUCT(tk_smuad, "smuad %0, %1, %2",
               tk_wrapping_sum(tk_low(a) * tk_low(b), tk_high(a) * tk_high(b)))
TK_DSP_PRODUCT(tk_smulbb, "smulbb %0, %1, %2", tk_low(a) * tk_low(b))
TK_DSP_PRODUCT(tk_smulbt, "smulbt %0, %1, %2", tk_low(a) * tk_high(b))
TK_DSP_PRODUCT(tk_smultb, "smultb %0, %1, %2", tk_high(a) * tk_low(b))
TK_DSP_PRODUCT(tk_smultt, "smultt %0, %1, %2", tk_high(a) * tk_high(b))

/* sum + such products */
TK_DSP_SUM(tk_smlad, "smlad %0, %1, %2, %3",
           tk_wrapping_sum(tk_low(a) * tk_low(b), tk_high(a) * tk_high(b)))
TK_DSP_SUM(tk_smladx, "smladx %0, %1, %2, %3",
           tk_wrapping_sum(tk_low(a) * tk_high(b), tk_high(a) * tk_low(b)))
TK_DSP_SUM(tk_smlabb, "smlabb %0, %1, %2, %3", tk_low(a) * tk_low(b))
TK_DSP_SUM(tk_smlabt, "smlabt %0, %1, %2, %3", tk_low(a) * tk_high(b))
TK_DSP_SUM(tk_smlatb, "smlatb %0, %1, %2, %3", tk_high(a) * tk_low(b))
TK_DSP_SUM(tk_smlatt, "smlatt %0, %1, %2, %3", tk_high(a) * tk_high(b))

/* The value as an 8-bit or a 16-bit code, saturated. */
TK_DSP_SATURATE(tk_ssat8, "ssat %0, #8, %1", -128, 127)
TK_DSP_SATURATE(tk_ssat16, "ssat %0, #16, %1", -32768, 32767)

/* a * b / 2^32, rounded half up; rounded down; the first plus sum. */
TK_DSP_HIGH(tk_smmulr, "smmulr %0, %1, %2", 0x80000000)
TK_DSP_HIGH(tk_smmul, "smmul %0, %1, %2", 0)

/* sum + a * half / 2^16, rounded down; half: the low or the high one of b. */
static inline int32_t tk_smlawb(int32_t a, uint32_t b, int32_t sum) {
#ifdef __ARM_FEATURE_DSP
    int32_t total;
    __asm__("smlawb %0, %1, %2, %3" : "=r"(total) : "r"(a), "r"(b), "r"(sum));
    return total;
#else
    return tk_wrapping_sum(sum, (int32_t)((int64_t)a * tk_low(b) >> 16));
#endif
}

static inline int32_t tk_smlawt(int32_t a, uint32_t b, int32_t sum) {
#ifdef __ARM_FEATURE_DSP
    int32_t total;
    __asm__("smlawt %0, %1, %2, %3" : "=r"(total) : "r"(a), "r"(b), "r"(sum));
    return total;
#else
    return tk_wrapping_sum(sum, (int32_t)((int64_t)a * tk_high(b) >> 16));
#endif
}

/* a * b / 2^32, rounded down, + sum; the same rounded half up. */
static inline int32_t tk_smmla(int32_t a, int32_t b, int32_t sum) {
#ifdef __ARM_FEATURE_DSP
    int32_t total;
    __asm__("smmla %0, %1, %2, %3" : "=r"(total) : "r"(a), "r"(b), "r"(sum));
    return total;
#else
    return tk_wrapping_sum(sum, tk_smmul(a, b));
#endif
}

static inline int32_t tk_smmlar(int32_t a, int32_t b, int32_t sum) {
#ifdef __ARM_FEATURE_DSP
    int32_t total;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(total) : "r"(a), "r"(b), "r"(sum));
    return total;
#else
    return tk_wrapping_sum(sum, tk_smmulr(a, b));
#endif
}

#endif
