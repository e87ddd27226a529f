#include "tk_depthwise_line_s8_dsp.h"

static void spread(const tk_depthwise_s8_dsp_params *p, const int8_t *weight, int8_t *to) {
    const int32_t columns = p->kernel_columns;
    for (int32_t row = 0; row < p->kernel_rows; row++) {
        int32_t before = 0;
        for (int32_t i = 0; i <= columns; i += 2) {
            const int32_t even = i < columns ? weight[i] : 0, odd = i + 1 < columns ? weight[i + 1] : 0;
            tk_put_word(to, tk_halves(even, odd));
            tk_put_word(to + 4, tk_halves(before, even));
            before = odd;
            to += 8;
        }
        weight += columns;
    }
}

#ifdef __ARM_FEATURE_DSP

/* r8 and r9 pairs of columns, r10 pair, r11 the row's end */
TK_FOUR_COLUMNS("ldm r0, {r4, r5, r6, r12}\n\tldrd r10, lr, [r0, #88]\n"
                "1:\tldr r2, [r0, #96]\n\tadd r11, r10, r2\n\tldr r8, [r1]\n"
                "2:\tldrd r2, r3, [r10], #8\n\tldr r9, [r1, #4]!\n\t"
                "smlad r4, r8, r2, r4\n\tsmlad r5, r8, r3, r5\n\t"
                "smlad r6, r9, r2, r6\n\tsmlad r12, r9, r3, r12\n\tmov r8, r9\n\tcmp r10, r11\n\tbne 2b\n\t"
                "ldr r2, [r0, #100]\n\tadd r1, r2\n\tcmp r10, lr\n\tbne 1b\n\t")

#else

static void columns(tk_depthwise_four_s8 *four, const int8_t *x) {
    int32_t sums[4] = {four->plane.bias[0], four->plane.bias[0], four->plane.bias[0], four->plane.bias[0]};
    for (const int8_t *pair = four->pairs; pair < four->end; x += four->row_skip) {
        for (const int8_t *row_end = pair + four->row_pairs; pair < row_end; pair += 8) {
            for (int32_t i = 0; i < 4; i++) {
                sums[i] = tk_smlad(tk_word(x + i / 2 * 4), tk_word(pair + i % 2 * 4), sums[i]);
            }
            x += 4;
        }
    }
    tk_put_four(four, sums);
}

#endif

static void rows(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane, int32_t output,
                 int8_t *spare) {
    const int32_t size = p->kernel_rows * p->kernel_columns, pairs = p->kernel_columns / 2 + 1;
    const int8_t *weight = p->weight + output * (size + 2);
    tk_depthwise_four_s8 four = {.plane = *plane, .pairs = spare, .row_pairs = 8 * pairs, .stride = 2};
    four.end = spare + p->kernel_rows * four.row_pairs;
    four.row_skip = plane->pitch - 4 * pairs;
    spread(p, weight, spare);
    tk_depthwise_scale_s8(&four.plane, weight[size], weight[size + 1]);
    tk_depthwise_four_s8_dsp(p, &four, columns);
}

void tk_depthwise_line_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch,
                              int8_t *out) {
    tk_depthwise_s8_dsp(p, x, scratch, out, rows);
}
