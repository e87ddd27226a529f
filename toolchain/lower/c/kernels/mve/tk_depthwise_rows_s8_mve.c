#include "tk_depthwise_rows_s8_mve.h"

#include "tk_tiles_by_rows_s8_mve.h"

void tk_depthwise_rows_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out) {
    tk_depthwise_s8_mve(p, x, scratch, out, 2, tk_tiles_by_rows_s8_mve);
}
