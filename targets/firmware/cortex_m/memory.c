/* memory.c - memcpy and memset in little flash: they take the place of libc's, which are unrolled. */
#include <stddef.h>
#include <stdint.h>

#ifdef __ARM_FEATURE_UNALIGNED
#define ANYWHERE , aligned(1)
#else
#define ANYWHERE
#endif
typedef uint32_t __attribute__((may_alias ANYWHERE)) word;

/* Whether words may be loaded and stored at all these addresses, or'ed. */
static inline int32_t by_words(uintptr_t places) {
    return places % __alignof__(word) == 0;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memset(void *to, int value, size_t size);

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *out = to, *const end = out + size;
    const uint8_t *in = from;
    if (by_words((uintptr_t)out | (uintptr_t)in)) {
        for (uint8_t *const last = out + (size & ~(size_t)3); out != last; out += 4, in += 4) {
            *(word *)out = *(const word *)in;
        }
    }
    while (out != end) {
        *out++ = *in++;
    }
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *out = to, *const end = out + size;
    const uint32_t four = (uint8_t)value * 0x01010101u;
    if (by_words((uintptr_t)out)) {
        for (uint8_t *const last = out + (size & ~(size_t)3); out != last; out += 4) {
            *(word *)out = four;
        }
    }
    while (out != end) {
        *out++ = (uint8_t)four;
    }
    return to;
}
