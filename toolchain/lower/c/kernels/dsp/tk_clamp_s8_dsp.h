/* tk_clamp_s8_dsp.h - codes cut to a range, in place, four at a time.
 *
 * codes      [count] int8 at any address
 * low, high  int8 codes, low <= high; nothing is done where they are -128 and 127
 *
 * Reentrant; libc: memcpy.
 */
#ifndef TK_CLAMP_S8_DSP_H
#define TK_CLAMP_S8_DSP_H

#include <stdint.h>

void tk_clamp_s8_dsp(int8_t *codes, int32_t count, int32_t low, int32_t high);

#endif
