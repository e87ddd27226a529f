#include "tk_depthwise_line_s8_dsp.h"

/* Weight `i` of a window row, 0 beside it. */
static int32_t weight_at(const tk_depthwise_s8_dsp_params *p, const int8_t *row, int32_t i) {
    return i >= 0 && i < p->kernel_columns ? row[i] : 0;
}

static void spread(const tk_depthwise_s8_dsp_params *p, const int8_t *weight, int8_t *to) {
    for (int32_t row = 0; row < p->kernel_rows; row++) {
        for (int32_t i = 0; i <= p->kernel_columns; i += 2) {
            const int32_t middle = weight_at(p, weight, i);
            tk_put_word(to, tk_halves(middle, weight_at(p, weight, i + 1)));
            tk_put_word(to + 4, tk_halves(weight_at(p, weight, i - 1), middle));
            to += 8;
        }
        weight += p->kernel_columns;
    }
}

/* Sums of four windows, of which the first begins at x. */
static void four_sums(const tk_depthwise_s8_dsp_params *p, const tk_depthwise_plane_s8 *plane,
                      const int8_t *x, const int8_t *pair, int32_t *sums) {
    const int32_t size = 8 * (p->kernel_columns / 2 + 1);
    int32_t sum0 = plane->bias[0], sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (int32_t row = 0; row < p->kernel_rows; row++) {
        const int8_t *from = x, *end = pair + size;
        uint32_t first = tk_word(from);
        for (; pair < end; pair += 8) {
            const uint32_t even = tk_word(pair), odd = tk_word(pair + 4), second = tk_word(from += 4);
            sum0 = tk_smlad(first, even, sum0);
            sum1 = tk_smlad(first, odd, sum1);
            sum2 = tk_smlad(second, even, sum2);
            sum3 = tk_smlad(second, odd, sum3);
            first = second;
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
    const int32_t size = p->kernel_rows * p->kernel_columns;
    const int8_t *x = (const void *)plane->x;
    spread(p, weight, spare);
    tk_depthwise_scale_s8(plane, weight[size], weight[size + 1]);
    for (int32_t row = 0; row < plane->rows; row++) {
        for (int32_t column = 0; column < plane->columns; column += 4) {
            int32_t sums[4];
            four_sums(p, plane, x + 2 * column, spare, sums);
            tk_depthwise_put_s8(plane, sums, plane->columns - column);
        }
        x += p->stride_rows * p->pitch;
        plane->out += plane->output_skip;
    }
}

void tk_depthwise_line_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
