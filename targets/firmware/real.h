/* real.h - reals without floating point: 32-bit floats of IEEE 754 in, codes out, and MLPerf Tiny's score. */
#ifndef REAL_H
#define REAL_H

#include <stdint.h>

#ifndef TK_INPUT_SCALE
#define TK_INPUT_SCALE 1.0
#define TK_INPUT_ZERO_POINT 0
#endif

/* real = scale * (code - zero_point). TK_OUTPUT: the type of the first output's codes. */
#ifndef TK_OUTPUT
#define TK_OUTPUT int8_t
#define TK_OUTPUT_SCALE 1.0
#define TK_OUTPUT_ZERO_POINT 0
#endif

/* A factor as a whole number of 2^-32. */
#define REAL_FIXED(factor) ((int64_t)((factor) * 4294967296.0 + 0.5))

/* count floats, low byte first, to codes of the first input: round half away from zero, clamp. */
void real_quantize(const uint8_t *reals, int8_t *codes, uint32_t count);

/* The mean of (output - input)^2 over an autoencoder's first output and input, in 2^-32.
 *
 * reals: the input as floats, or null where only its codes are known
 * Off by less than 2^-10 where all are within +-2047; what is outside counts as that.
 */
uint64_t real_score(const int8_t *outputs, const uint8_t *reals, const int8_t *codes, uint32_t count);

#endif
