/* counting.c - extremes of float32 values and how many fall into each bin, in one pass over memory.
 *
 * A bin holds the values whose top 16 bits (sign, exponent, 7 bits of mantissa) agree; see histogram.py.
 * Plain C, loaded with ctypes; counting.py does the same with numpy where this was not compiled.
 */
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT
#endif

/* The loop over a block is compiled for several vector widths, of which the processor's is taken. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_VECTOR_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_VECTOR_WIDTH
#endif

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#else
#define FETCH(address) ((void)0)
#endif

enum { BLOCK = 4096 /* values; 16 KiB stay in the first-level cache between the loops */, LANES = 4,
       LINE = 16 /* values of a cache line */ };

static const uint32_t NOT_A_NUMBER = 0x7FC00000u;
static const int32_t INFINITE = 0x7F800000;

/* Order floats as signed integers: flip all bits but the sign of negative ones. Its own inverse.
 * -NaN < -Inf < ... < -0.0 < 0.0 < ... < Inf < NaN, so that no NaN is lost, as comparing floats would lose it.
 */
static inline int32_t key_of(int32_t bits)
{
    return bits ^ ((bits >> 31) & 0x7FFFFFFF);
}

FOR_EACH_VECTOR_WIDTH
static void widen(int32_t *restrict ends, const int32_t *restrict bits, size_t n)
{
    int32_t low = ends[0], high = ends[1];
    for (size_t i = 0; i < n; i++) {
        int32_t key = key_of(bits[i]);
        low = key < low ? key : low;
        high = key > high ? key : high;
    }
    ends[0] = low;
    ends[1] = high;
}

/* Neighbours are often equal (zeros of a relu); with a lane each, no count waits for the one before it. Values
 * two blocks ahead are fetched meanwhile: counting leaves memory idle. */
static void count(uint32_t *restrict counts, const uint32_t *restrict bits, size_t n)
{
    size_t i = 0;
    for (; i + LINE <= n; i += LINE) {
        FETCH(bits + 2 * BLOCK + i);
        for (size_t j = 0; j < LINE; j++) {
            counts[(bits[i + j] >> 16) * LANES + j % LANES]++;
        }
    }
    for (; i < n; i++) {
        counts[(bits[i] >> 16) * LANES]++;
    }
}

static void write_ends(uint32_t *extremes, const int32_t *ends)
{
    int has_nan = ends[0] < key_of(INFINITE | INT32_MIN) || ends[1] > INFINITE;
    for (int i = 0; i < 2; i++) {
        extremes[i] = has_nan ? NOT_A_NUMBER : (uint32_t)key_of(ends[i]);
    }
}

/* bits      rows x per_row, float32; per_row > 0
 * extremes  rows x 2, float32: smallest and largest value of each row, NaN in both where one is NaN
 * counts    65,536 x LANES, added to (the lanes of a bin make its count), or NULL
 */
EXPORT void edge_observe(const uint32_t *bits, size_t rows, size_t per_row, uint32_t *extremes, uint32_t *counts)
{
    for (size_t row = 0; row < rows; row++, extremes += 2) {
        int32_t ends[2] = {INT32_MAX, INT32_MIN};
        for (size_t left = per_row; left > 0;) {
            size_t n = left < BLOCK ? left : BLOCK;
            widen(ends, (const int32_t *)bits, n);
            if (counts != NULL) {
                count(counts, bits, n);
            }
            bits += n;
            left -= n;
        }
        write_ends(extremes, ends);
    }
}
