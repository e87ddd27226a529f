#include "tk_depthwise3x3_full_s8_dsp.h"

TK_DEPTHWISE3X3_ROWS(1, full)

void tk_depthwise3x3_full_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                                 int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
