/* tk_concat_s8.h - one part of a concatenation: called once per input.
 *
 * x    [rows][run]    int8: the axes from the concatenated one inwards make one run
 * out  [rows][pitch]  int8; the input's runs go to [offset, offset + run) of each row. May not overlap x
 * Same scale and zero point throughout. Reentrant; libc: memcpy.
 */
#ifndef TK_CONCAT_S8_H
#define TK_CONCAT_S8_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t run;
    int32_t pitch;
    int32_t offset;
} tk_concat_s8_params;

void tk_concat_s8(const tk_concat_s8_params *p, const int8_t *x, int8_t *out);

#endif
