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

#ifdef __ARM_FEATURE_DSP

/* r8 stride, r9 to the fourth, r10 pair, r11 the row's end, lr tap */
TK_FOUR_COLUMNS("ldm r0, {r4, r5, r6, r12}\n\tldr r10, [r0, #88]\n\tldrd r8, r9, [r0, #108]\n\t"
                "ldr lr, [r0, #104]\n"
                "1:\tldr r2, [r0, #96]\n\tadd r11, r10, r2\n"
                "2:\tldr r2, [r10], #4\n\tldr r3, [r1]\n\tsmlad r4, r3, r2, r4\n\t"
                "ldr r3, [r1, r8]\n\tsmlad r5, r3, r2, r5\n\t"
                "ldr r3, [r1, r8, lsl #1]\n\tsmlad r6, r3, r2, r6\n\t"
                "ldr r3, [r1, r9]\n\tsmlad r12, r3, r2, r12\n\tadd r1, lr\n\tcmp r10, r11\n\tbne 2b\n\t"
                "ldr r2, [r0, #100]\n\tadd r1, r2\n\tldr r2, [r0, #92]\n\tcmp r10, r2\n\tbne 1b\n\t")

#else

static void columns(tk_depthwise_four_s8 *four, const int8_t *x) {
    int32_t sums[4] = {four->plane.bias[0], four->plane.bias[0], four->plane.bias[0], four->plane.bias[0]};
    for (const int8_t *pair = four->pairs; pair < four->end; x += four->row_skip) {
        for (const int8_t *row_end = pair + four->row_pairs; pair < row_end; pair += 4) {
            for (int32_t i = 0; i < 4; i++) {
                sums[i] = tk_smlad(tk_word(x + i * four->stride), tk_word(pair), sums[i]);
            }
            x += four->tap;
        }
    }
    tk_put_four(four, sums);
}

#endif

static void rows(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane, int32_t output,
                 int8_t *spare) {
    const int32_t size = p->kernel_rows * p->kernel_columns;
    const int8_t *weight = p->weight + output * (size + 2);
    const int32_t pairs = spread(p, weight, spare);
    tk_depthwise_four_s8 four = {.plane = *plane, .pairs = spare, .row_pairs = 4 * pairs};
    four.end = spare + p->kernel_rows * four.row_pairs;
    four.tap = p->dilation_columns > 1 ? 2 * p->dilation_columns : 4;
    four.row_skip = plane->pitch - pairs * four.tap;
    four.stride = 2 * p->stride_columns;
    four.fourth = 3 * four.stride;
    tk_depthwise_scale_s8(&four.plane, weight[size], weight[size + 1]);
    tk_depthwise_four_s8_dsp(p, &four, columns);
}

void tk_depthwise_window_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                                int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
