#include "tk_matrix_s8_thumb.h"

#include "tk_dot_pairs_s8_thumb.h"

static void lay_side_by_side(const tk_matrix_s8_thumb_params *p, const int8_t *x0, const int8_t *x1,
                             int32_t *pairs) {
    const int32_t *const end = pairs + p->depth, *const filled = pairs + 2 * p->steps;
    while (pairs != end) {
        int32_t pair = *x0++;
        if (x1) {
            pair += *x1++ * 65536;
        }
        *pairs++ = pair;
    }
    while (pairs != filled) {
        *pairs++ = 0;
    }
}

void tk_matrix_s8_thumb(const tk_matrix_s8_thumb_params *p, const int8_t *x0, const int8_t *x1,
                        int32_t *scratch, int8_t *out0, int8_t *out1) {
    const tk_output_s8_scalar_params output = p->output;
    const int32_t *w = p->weight;
    lay_side_by_side(p, x0, x1, scratch);
    for (int32_t o = 0; o < p->channels;) {
        int32_t sums[4] = {0, 0, 0, 0};
        w = tk_dot_pairs_s8_thumb(scratch, w, p->steps, sums);
        const int32_t *sum = sums;
        for (const int32_t end = o + 2 < p->channels ? o + 2 : p->channels; o < end; o++, sum += 2) {
            const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&output, o);
            const int32_t first = (int32_t)((uint32_t)sum[0] - ((uint32_t)sum[1] << 16));
            out0[o] = tk_output_s8_scalar(&output, scale, first + output.bias[o]);
            if (x1) {
                out1[o] = tk_output_s8_scalar(&output, scale, sum[1] + output.bias[o]);
            }
        }
    }
}
