/* tk_depthwise3x3_s8_dsp.h - what depthwise kernels of 3 by 3 weights share, at a stride of 1 or 2 columns.
 *
 * record of an output channel: see tk_depthwise3x3_spread_s8_dsp.h
 *
 * How sums become codes (`ending`):
 *   positive  codes from -128, the output's zero point, to 127: for a negative value, which way it is rounded
 *             makes no difference
 *   full      codes from -128 to 127
 *   clamped   codes from low to high
 *
 * Four output columns of a row at once, then two, of which the last may be beyond the row: a pair of columns
 * of x in a word, a pair of weights in a word, two products in an SMLAD. Planes hold whole pairs of columns.
 * TK_DEPTHWISE3X3_ROWS defines `rows`, a kernel's tk_depthwise_rows_s8.
 */
#ifndef TK_DEPTHWISE3X3_S8_DSP_H
#define TK_DEPTHWISE3X3_S8_DSP_H

#include "tk_depthwise3x3_spread_s8_dsp.h"
#include "tk_dsp.h"

#ifdef __ARM_FEATURE_DSP

/* r0 plane + 16, r1 x, r2 r3 weights of a row, r4 to r7 sums, r8 to r10 columns of x, r11 out, r12 pitch,
 * lr step. When the sums are done: r3 mask, r8 multiplier, r9 offset, r10 shift. */

#define TK_3X3_WEIGHTS(row) "ldrd r2, r3, [r0, #" row "]\n\t"
/* The row's place in r8, from where its columns are loaded. */
#define TK_3X3_ROW1 "add r8, r1, r12\n\t"
#define TK_3X3_ROW2 "add r8, r1, r12, lsl #1\n\t"

#define TK_3X3_ROW_4_STRIDE1(place, from)                                                                    \
    place "ldm " from ", {r8, r9, r10}\n\t"                                                                  \
    "smlad r4, r8, r2, r4\n\tsmlatb r5, r8, r2, r5\n\tsmlad r6, r9, r2, r6\n\tsmlatb r7, r9, r2, r7\n\t"     \
    "smlabt r4, r9, r3, r4\n\tsmlad r5, r9, r3, r5\n\tsmlabt r6, r10, r3, r6\n\tsmlad r7, r10, r3, r7\n\t"
#define TK_3X3_ROW_2_STRIDE1(place, from)                                                                    \
    place "ldrd r8, r9, [" from "]\n\t"                                                                      \
    "smlad r4, r8, r2, r4\n\tsmlatb r5, r8, r2, r5\n\tsmlabt r4, r9, r3, r4\n\tsmlad r5, r9, r3, r5\n\t"
#define TK_3X3_ROW_4_STRIDE2(place, from)                                                                    \
    place "ldm " from ", {r8, r9, r10}\n\t"                                                                  \
    "smlad r4, r8, r2, r4\n\tsmlad r5, r9, r2, r5\n\tsmlad r6, r10, r2, r6\n\t"                              \
    "smlabt r4, r9, r3, r4\n\tsmlabt r5, r10, r3, r5\n\t" place "ldrd r8, r9, [" from ", #12]\n\t"           \
    "smlad r7, r8, r2, r7\n\tsmlabt r6, r8, r3, r6\n\tsmlabt r7, r9, r3, r7\n\t"
#define TK_3X3_ROW_2_STRIDE2(place, from)                                                                    \
    place "ldm " from ", {r8, r9, r10}\n\t"                                                                  \
    "smlad r4, r8, r2, r4\n\tsmlad r5, r9, r2, r5\n\tsmlabt r4, r9, r3, r4\n\tsmlabt r5, r10, r3, r5\n\t"
#define TK_3X3_ROWS(row)                                                                                     \
    TK_3X3_WEIGHTS("16") row("", "r1") TK_3X3_WEIGHTS("24") row(TK_3X3_ROW1, "r8")                           \
    TK_3X3_WEIGHTS("32") row(TK_3X3_ROW2, "r8")

/* Sums to values with `shift` bits below the point; r2 is free. */
#define TK_3X3_SCALE_positive "ldmdb r0, {r8, r9, r10}\n\t"
#define TK_3X3_VALUE_positive(sum) "smmla " sum ", " sum ", r8, r9\n\t"
#define TK_3X3_SCALE_full "ldmdb r0, {r3, r8, r9, r10}\n\t"
#define TK_3X3_VALUE_full(sum)                                                                               \
    "and r2, r3, " sum ", asr #31\n\tadd r2, r9\n\tsmmla " sum ", " sum ", r8, r2\n\t"
#define TK_3X3_SCALE_clamped TK_3X3_SCALE_full
#define TK_3X3_VALUE_clamped(sum) TK_3X3_VALUE_full(sum)
/* Values to codes; r8 and r9 are free. */
#define TK_3X3_LIMITS_positive
#define TK_3X3_LIMITS_full
#define TK_3X3_LIMITS_clamped "ldrd r8, r9, [r0, #40]\n\t"
#define TK_3X3_CODE_full(sum) "asr " sum ", " sum ", r10\n\tssat " sum ", #8, " sum "\n\t"
#define TK_3X3_CODE_positive(sum) TK_3X3_CODE_full(sum)
#define TK_3X3_CODE_clamped(sum)                                                                             \
    "asr " sum ", " sum ", r10\n\tcmp " sum ", r8\n\tit lt\n\tmovlt " sum ", r8\n\t"                         \
    "cmp " sum ", r9\n\tit gt\n\tmovgt " sum ", r9\n\t"
#define TK_3X3_PUT_2(a, b) "strb " a ", [r11]\n\tstrb " b ", [r11, lr]\n\tadd r11, r11, lr, lsl #1\n\t"

#define TK_3X3_CODES_4(ending)                                                                               \
    TK_3X3_SCALE_##ending TK_3X3_VALUE_##ending("r4") TK_3X3_VALUE_##ending("r5")                            \
    TK_3X3_VALUE_##ending("r6") TK_3X3_VALUE_##ending("r7") TK_3X3_LIMITS_##ending                           \
    TK_3X3_CODE_##ending("r4") TK_3X3_CODE_##ending("r5") TK_3X3_CODE_##ending("r6")                         \
    TK_3X3_CODE_##ending("r7") TK_3X3_PUT_2("r4", "r5") TK_3X3_PUT_2("r6", "r7")
/* Of as many as the columns left say, which become two fewer. */
#define TK_3X3_CODES_2(ending)                                                                               \
    TK_3X3_SCALE_##ending TK_3X3_VALUE_##ending("r4") TK_3X3_VALUE_##ending("r5") TK_3X3_LIMITS_##ending     \
    TK_3X3_CODE_##ending("r4") TK_3X3_CODE_##ending("r5") "strb r4, [r11]\n\tadd r11, lr\n\t"                \
    "ldr r2, [r0, #84]\n\tsubs r2, #2\n\titt pl\n\tstrbpl r5, [r11]\n\taddpl r11, lr\n\t"

/* r7 may be the frame pointer, so that the compiler does not save it for us. */
#define TK_3X3_PLANE(stride, ending, four_columns, two_columns)                                              \
    __asm__ volatile(                                                                                        \
        "push {r7}\n\tadd r0, #16\n\t"                                                                       \
        "ldrd r1, r11, [r0, #76]\n\tldrd r12, lr, [r0, #56]\n"                                               \
        "1:\tldr r2, [r0, #64]\n\tcmp r2, #0\n\tbeq 3f\n\tadd r2, r11\n\tstr r2, [r0, #84]\n"                \
        "2:\tldm r0, {r4, r5, r6, r7}\n\t" TK_3X3_ROWS(TK_3X3_ROW_4_STRIDE##stride)                          \
        TK_3X3_CODES_4(ending) "add r1, #" four_columns "\n\tldr r2, [r0, #84]\n\tcmp r11, r2\n\tbne 2b\n"   \
        "3:\tldr r2, [r0, #52]\n\tands r2, #3\n\tbeq 5f\n"                                                 \
        "4:\tstr r2, [r0, #84]\n\t"                                                                         \
        "ldrd r4, r5, [r0]\n\t" TK_3X3_ROWS(TK_3X3_ROW_2_STRIDE##stride)                                    \
        TK_3X3_CODES_2(ending) "add r1, #" two_columns "\n\tbgt 4b\n"                                       \
        "5:\tldrd r2, r3, [r0, #68]\n\tadd r1, r2\n\tadd r11, r3\n\t"                                      \
        "ldr r2, [r0, #48]\n\tsubs r2, #1\n\tstr r2, [r0, #48]\n\tbne 1b\n\tpop {r7}"                      \
        : "+r"(at) : : "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",      \
          "memory")

#define TK_DEPTHWISE3X3_ROWS(stride, ending)                                                                 \
    static void rows(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane,                      \
                     int32_t output, int8_t *spare) {                                                        \
        (void)spare;                                                                                         \
        tk_depthwise3x3_spread_s8_dsp(p->weight + 12 * output, plane);                                       \
        register tk_depthwise_plane_s8 *at __asm__("r0") = plane;                                            \
        TK_3X3_PLANE(stride, ending, TK_3X3_BYTES_4_STRIDE##stride, TK_3X3_BYTES_2_STRIDE##stride);          \
    }
#define TK_3X3_BYTES_4_STRIDE1 "8"
#define TK_3X3_BYTES_2_STRIDE1 "4"
#define TK_3X3_BYTES_4_STRIDE2 "16"
#define TK_3X3_BYTES_2_STRIDE2 "8"

#else

#define TK_3X3_ENDING_positive 0
#define TK_3X3_ENDING_full 1
#define TK_3X3_ENDING_clamped 2

static inline int32_t tk_depthwise3x3_code(const tk_depthwise_plane_s8 *plane, int32_t sum, int ending) {
    const int32_t away = ending != TK_3X3_ENDING_positive && sum < 0 ? plane->mask : 0;
    const int32_t value = tk_smmla(sum, plane->multiplier, plane->offset + away) >> plane->shift;
    if (ending != TK_3X3_ENDING_clamped) {
        return tk_ssat8(value);
    }
    return value < plane->low ? plane->low : value > plane->high ? plane->high : value;
}

/* Sum of the window that begins with the pair of columns at x. */
static inline int32_t tk_depthwise3x3_even(const tk_depthwise_plane_s8 *plane, const int8_t *x) {
    int32_t sum = plane->bias[0];
    for (int32_t row = 0; row < 3; row++, x += plane->pitch) {
        sum = tk_smlad(tk_word(x), plane->weight[2 * row], sum);
        sum = tk_smlabt(tk_word(x + 4), plane->weight[2 * row + 1], sum);
    }
    return sum;
}

/* Sum of the one a column further. */
static inline int32_t tk_depthwise3x3_odd(const tk_depthwise_plane_s8 *plane, const int8_t *x) {
    int32_t sum = plane->bias[0];
    for (int32_t row = 0; row < 3; row++, x += plane->pitch) {
        sum = tk_smlatb(tk_word(x), plane->weight[2 * row], sum);
        sum = tk_smlad(tk_word(x + 4), plane->weight[2 * row + 1], sum);
    }
    return sum;
}

static inline void tk_depthwise3x3_plane(tk_depthwise_plane_s8 *plane, int32_t stride, int ending) {
    const int8_t *x = (const void *)plane->x;
    for (int32_t row = 0; row < plane->rows; row++) {
        for (int32_t column = 0; column < plane->columns; column++) {
            const int32_t first = stride * column;
            const int8_t *from = x + 2 * (first & ~1);
            int32_t sum = first & 1 ? tk_depthwise3x3_odd(plane, from) : tk_depthwise3x3_even(plane, from);
            *plane->out = (int8_t)tk_depthwise3x3_code(plane, sum, ending);
            plane->out += plane->step;
        }
        x += 2 * stride * ((plane->columns + 1) & ~1) + plane->input_skip;
        plane->out += plane->output_skip;
    }
}

#define TK_DEPTHWISE3X3_ROWS(stride, ending)                                                                 \
    static void rows(const tk_depthwise_s8_dsp_params *p, tk_depthwise_plane_s8 *plane,                      \
                     int32_t output, int8_t *spare) {                                                        \
        (void)spare;                                                                                         \
        tk_depthwise3x3_spread_s8_dsp(p->weight + 12 * output, plane);                                       \
        tk_depthwise3x3_plane(plane, stride, TK_3X3_ENDING_##ending);                                        \
    }

#endif

#endif
