#include "tk_matrix_s8_scalar.h"

void tk_matrix_s8_scalar(const tk_matrix_s8_scalar_params *p, const tk_runs *runs, const int8_t *x0,
                         const int8_t *x1, int8_t *out0, int8_t *out1) {
    const tk_output_s8_scalar_params output = p->output;
    const int32_t channels = p->channels;
    const int8_t *w = p->weight;
    for (int32_t o = 0; o < channels;) {
        const int32_t *const bias = output.bias + o;
        int32_t sums[8] = {bias[0], bias[1], bias[2], bias[3], bias[0], bias[1], bias[2], bias[3]};
        w = x1 ? tk_dot_two_s8_scalar(runs, x0, x1, w, sums) : tk_dot_one_s8_scalar(runs, x0, w, sums);
        const int32_t *sum = sums;
        for (const int32_t end = o + 4 < channels ? o + 4 : channels; o < end; o++, sum++) {
            const tk_scale_s8_scalar scale = tk_scale_of_s8_scalar(&output, o);
            out0[o] = tk_output_s8_scalar(&output, scale, sum[0]);
            if (x1) {
                out1[o] = tk_output_s8_scalar(&output, scale, sum[4]);
            }
        }
    }
}
