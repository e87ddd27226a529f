/* tk_depthwise_four_s8_dsp.h - what depthwise kernels of any window share: four output columns at a time.
 *
 * The plane's bytes:
 *   pairs, end  the weights of all window rows
 *   row_pairs   of a row of them
 *   row_skip    of the plane: from beyond a window row's last pair of columns to the next row
 *   tap         from one pair of columns to the next
 *   stride      from one window to the next;  fourth: to the fourth one
 *
 * Reentrant; libc: as tk_dsp.h.
 */
#ifndef TK_DEPTHWISE_FOUR_S8_DSP_H
#define TK_DEPTHWISE_FOUR_S8_DSP_H

#include "tk_depthwise_s8_dsp.h"
#include "tk_dsp.h"

/* The plane comes first: the assembly knows the places of the members.
 *
 * left     output columns of the row that are not done;  limited: whether codes are cut to low and high
 */
typedef struct {
    tk_depthwise_plane_s8 plane;
    const int8_t *pairs;
    const int8_t *end;
    int32_t row_pairs;
    int32_t row_skip;
    int32_t tap;
    int32_t stride;
    int32_t fourth;
    int32_t left;
    int32_t limited;
} tk_depthwise_four_s8;

/* Writes the codes of the window that begins at x and the next three, or as many as are left. */
typedef void tk_depthwise_columns_s8(tk_depthwise_four_s8 *four, const int8_t *x);

#ifdef __ARM_FEATURE_DSP

/* What ends the assembly: r0 is the plane + 16, sums are in r4, r5, r6 and r12. */
#define TK_FOUR_VALUE(sum) "and r2, r3, " sum ", asr #31\n\tadd r2, r9\n\tsmmla " sum ", " sum ", r8, r2\n\t"
#define TK_FOUR_CODE(sum) "asr " sum ", " sum ", r10\n\tssat " sum ", #8, " sum "\n\t"
#define TK_FOUR_CUT(sum)                                                                                     \
    "cmp " sum ", r8\n\tit lt\n\tmovlt " sum ", r8\n\tcmp " sum ", r9\n\tit gt\n\tmovgt " sum ", r9\n\t"
#define TK_FOUR_PUT                                                                                          \
    "ldmdb r0, {r3, r8, r9, r10}\n\t" TK_FOUR_VALUE("r4") TK_FOUR_VALUE("r5") TK_FOUR_VALUE("r6")            \
    TK_FOUR_VALUE("r12") TK_FOUR_CODE("r4") TK_FOUR_CODE("r5") TK_FOUR_CODE("r6") TK_FOUR_CODE("r12")        \
    "ldrd r2, r3, [r0, #116]\n\tldr r11, [r0, #80]\n\tldr lr, [r0, #60]\n\tcmp r3, #0\n\tbeq 3f\n\t"         \
    "ldrd r8, r9, [r0, #40]\n\t" TK_FOUR_CUT("r4") TK_FOUR_CUT("r5") TK_FOUR_CUT("r6") TK_FOUR_CUT("r12")    \
    "\n3:\tstrb r4, [r11]\n\tadd r11, lr\n\tcmp r2, #2\n\tblt 4f\n\t"                                        \
    "strb r5, [r11]\n\tadd r11, lr\n\tbeq 4f\n\t"                                                            \
    "strb r6, [r11]\n\tadd r11, lr\n\tcmp r2, #4\n\tblt 4f\n\tstrb r12, [r11]\n\tadd r11, lr\n"              \
    "4:\tstr r11, [r0, #80]"

/* `columns` from the assembly of the sums: r0 plane + 16, r1 x; r2 to r6, r8 to r12 and lr are free. From
 * [r0, #88] on: pairs, end, row_pairs, row_skip, tap, stride, fourth. */
#define TK_FOUR_COLUMNS(sums)                                                                                \
    static void columns(tk_depthwise_four_s8 *four, const int8_t *x) {                                       \
        register void *at __asm__("r0") = (int8_t *)four + 16;                                               \
        register const int8_t *from __asm__("r1") = x;                                                       \
        __asm__ volatile(sums TK_FOUR_PUT                                                                    \
                         : "+r"(at), "+r"(from)                                                              \
                         :                                                                                   \
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc",        \
                           "memory");                                                                        \
    }

#else

static inline void tk_put_four(tk_depthwise_four_s8 *four, const int32_t sums[4]) {
    tk_depthwise_plane_s8 *plane = &four->plane;
    for (int32_t i = 0; i < 4 && i < four->left; i++) {
        const int32_t offset = plane->offset + (sums[i] < 0 ? plane->mask : 0);
        const int32_t code = tk_ssat8(tk_smmla(sums[i], plane->multiplier, offset) >> plane->shift);
        *plane->out = (int8_t)(code < plane->low ? plane->low : code > plane->high ? plane->high : code);
        plane->out += plane->step;
    }
}

#endif

/* The part of one output channel in a band, when its weights are spread and its scale and steps are set. */
static inline void tk_depthwise_four_s8_dsp(const tk_depthwise_s8_dsp_params *p, tk_depthwise_four_s8 *four,
                                            tk_depthwise_columns_s8 *columns) {
    const int8_t *x = (const void *)four->plane.x;
    four->limited = p->low > -128 || p->high < 127;
    for (int32_t row = four->plane.rows; row > 0; row--) {
        const int8_t *from = x;
        for (four->left = four->plane.columns; four->left > 0; four->left -= 4) {
            columns(four, from);
            from += 4 * four->stride;
        }
        x += p->stride_rows * p->pitch;
        four->plane.out += four->plane.output_skip;
    }
}

#endif
