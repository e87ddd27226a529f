/* tk_lookup_s8.h - any function of one code: relu, elu, logistic, exp, pow by a constant, quantize ...
 *
 *   out[i] = table[x[i] taken as uint8]
 *
 * x, out  [size]  int8 or uint8 codes; out may be x
 * table   [256]   the result's code for x = 0, 1 .. 127, -128 .. -1 (int8) or 0 .. 255 (uint8)
 *
 * The table is made at build time by toolchain.runtime.kernels_int8: TensorFlow Lite Micro's own arithmetic,
 * LiteRT's where it has no kernel, else the real function's.
 * Reentrant; no memory, no libc.
 */
#ifndef TK_LOOKUP_S8_H
#define TK_LOOKUP_S8_H

#include <stdint.h>

typedef struct {
    int32_t size;
    const uint8_t *table;
} tk_lookup_s8_params;

void tk_lookup_s8(const tk_lookup_s8_params *p, const void *x, void *out);

#endif
