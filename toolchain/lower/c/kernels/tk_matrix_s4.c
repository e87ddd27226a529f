#include "tk_matrix_s4.h"

/* Eight times the sum of a row. */
static int32_t eight_times(const int8_t *x, int32_t depth) {
    int32_t sum = 0;
    for (const int8_t *const end = x + depth; x != end; x++) {
        sum += *x;
    }
    return 8 * sum;
}

/* Sums over low nibbles and whole bytes, for two bytes: what four channels' sums follow from. */
static void one_row(int32_t depth, const int8_t *x, const int8_t *w, int32_t sums[4]) {
    int32_t low0 = 0, byte0 = 0, low1 = 0, byte1 = 0;
    for (const int8_t *const end = x + depth; x != end; w += 2) {
        const int32_t value = *x++;
        low0 += value * (w[0] & 15);
        byte0 += value * w[0];
        low1 += value * (w[1] & 15);
        byte1 += value * w[1];
    }
    sums[0] = low0, sums[1] = byte0, sums[2] = low1, sums[3] = byte1;
}

/* The same for two rows: sums[4] on are the second's. */
static void two_rows(int32_t depth, const int8_t *x0, const int8_t *x1, const int8_t *w, int32_t sums[8]) {
    int32_t low0 = 0, byte0 = 0, low1 = 0, byte1 = 0, low2 = 0, byte2 = 0, low3 = 0, byte3 = 0;
    for (const int8_t *const end = x0 + depth; x0 != end; w += 2) {
        const int32_t first = *x0++, second = *x1++;
        int32_t byte = w[0], low = byte & 15;
        low0 += first * low, byte0 += first * byte;
        low2 += second * low, byte2 += second * byte;
        byte = w[1], low = byte & 15;
        low1 += first * low, byte1 += first * byte;
        low3 += second * low, byte3 += second * byte;
    }
    sums[0] = low0, sums[1] = byte0, sums[2] = low1, sums[3] = byte1;
    sums[4] = low2, sums[5] = byte2, sums[6] = low3, sums[7] = byte3;
}

/* Codes of up to four channels from o on. */
static void put(const tk_matrix_s4_params *p, int32_t o, const int32_t sums[4], int32_t eights, int8_t *out) {
    for (int32_t i = 0; i < 4 && o + i < p->channels; i++) {
        const int32_t sum = i % 2 ? (sums[i] - sums[i - 1]) >> 4 : sums[i] - eights;
        out[o + i] = tk_output_s8(&p->output, o + i, sum);
    }
}

void tk_matrix_row_s4(const tk_matrix_s4_params *p, const int8_t *x, int8_t *out) {
    const int32_t eights = eight_times(x, p->depth);
    const int8_t *w = p->weight;
    for (int32_t o = 0; o < p->channels; o += 4, w += 2 * p->depth) {
        int32_t sums[4];
        one_row(p->depth, x, w, sums);
        put(p, o, sums, eights, out);
    }
}

void tk_matrix_pair_s4(const tk_matrix_s4_params *p, const int8_t *x0, const int8_t *x1, int8_t *out0,
                       int8_t *out1) {
    const int32_t eights0 = eight_times(x0, p->depth), eights1 = eight_times(x1, p->depth);
    const int8_t *w = p->weight;
    for (int32_t o = 0; o < p->channels; o += 4, w += 2 * p->depth) {
        int32_t sums[8];
        two_rows(p->depth, x0, x1, w, sums);
        put(p, o, sums, eights0, out0);
        put(p, o, sums + 4, eights1, out1);
    }
}
