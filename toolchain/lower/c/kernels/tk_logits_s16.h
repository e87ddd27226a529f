/* tk_logits_s16.h - logits of a stage on the grid of its chain.
 *
 *   out[i] = multiplier * (codes[i] - zero_point)
 *
 * codes  [classes]  int8
 * out    [classes]  int16, may not overlap codes
 * multiplier        1 to 128
 *
 * Reentrant; no memory, no libc.
 */
#ifndef TK_LOGITS_S16_H
#define TK_LOGITS_S16_H

#include <stdint.h>

typedef struct {
    int32_t classes;
    int32_t zero_point;
    int32_t multiplier;
} tk_logits_s16_params;

void tk_logits_s16(const tk_logits_s16_params *p, const int8_t *codes, int16_t *out);

#endif
