#include "tk_depthwise3x3_stride2_positive_s8_dsp.h"

TK_DEPTHWISE3X3_ROWS(2, positive)

void tk_depthwise3x3_stride2_positive_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x,
                                             int8_t *scratch, int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
