#include "tk_depthwise_window_s8_dsp.h"

/* Gives how many pairs a window row has. */
static int32_t spread(const tk_depthwise_s8_dsp_params *p, const int8_t *weight, int8_t *to) {
    const int32_t taken = p->dilation_columns > 1 ? 1 : 2;
    for (int32_t row = 0; row < p->kernel_rows; row++) {
        for (int32_t i = 0; i < p->kernel_columns; i += taken) {
            const int32_t second = taken == 2 && i + 1 < p->kernel_columns ? weight[i + 1] : 0;
            tk_put_word(to, tk_halves(weight[i], second));
            to += 4;
        }
        weight += p->kernel_columns;
    }
    return (p->kernel_columns + taken - 1) / taken;
}

/* Sums of four windows, of which the first begins at x. */
static void four_sums(const tk_depthwise_s8_dsp_params *p, const tk_depthwise_plane_s8 *plane,
                      const int8_t *x, const int8_t *pair, int32_t pairs, int32_t *sums) {
    const int32_t tap = p->dilation_columns > 1 ? 2 * p->dilation_columns : 4, stride = 2 * p->stride_columns;
    int32_t sum0 = plane->bias[0], sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (int32_t row = 0; row < p->kernel_rows; row++) {
        const int8_t *from = x, *end = pair + 4 * pairs;
        for (; pair < end; pair += 4) {
            const uint32_t weights = tk_word(pair);
            sum0 = tk_smlad(tk_word(from), weights, sum0);
            sum1 = tk_smlad(tk_word(from + stride), weights, sum1);
            sum2 = tk_smlad(tk_word(from + 2 * stride), weights, sum2);
            sum3 = tk_smlad(tk_word(from + 3 * stride), weights, sum3);
            from += tap;
        }
        x += plane->pitch;
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

static void rows(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane, const int8_t *weight,
                 int8_t *spare) {
    const int32_t pairs = spread(p, weight, spare), size = p->kernel_rows * p->kernel_columns;
    const int8_t *x = (const void *)plane->x;
    tk_depthwise_scale_s8(plane, weight[size], weight[size + 1]);
    for (int32_t row = 0; row < plane->rows; row++) {
        for (int32_t column = 0; column < plane->columns; column += 4) {
            int32_t sums[4];
            four_sums(p, plane, x + 2 * column * p->stride_columns, spare, pairs, sums);
            tk_depthwise_put_s8(plane, sums, plane->columns - column);
        }
        x += p->stride_rows * p->pitch;
        plane->out += plane->output_skip;
    }
}

void tk_depthwise_window_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                                int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
