/* tk_extreme_s16.h - what reduce_max and reduce_min share: one code of all along any axes.
 *
 * kept, reduced  sizes of up to three axes that stay and three that go, 1 where unused
 * kept_stride, reduced_stride  distances in x between neighbours along them
 * x    int16;  out  [kept[0]][kept[1]][kept[2]]  int16, same scale
 *
 * Results follow in ascending order: out may begin before x where it overwrites nothing that a later one
 * reads.
 */
#ifndef TK_EXTREME_S16_H
#define TK_EXTREME_S16_H

#include <stdint.h>

typedef struct {
    int32_t kept[3];
    int32_t kept_stride[3];
    int32_t reduced[3];
    int32_t reduced_stride[3];
} tk_extreme_s16_params;

/* Whether a code takes the place of the best so far. */
typedef int tk_beats_s16(int16_t code, int16_t best);

static inline int16_t tk_extreme_from_s16(const tk_extreme_s16_params *restrict p, const int16_t *x,
                                        tk_beats_s16 *beats) {
    int16_t best = *x;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            const int16_t *from = x + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                int16_t code = from[k * p->reduced_stride[2]];
                best = beats(code, best) ? code : best;
            }
        }
    }
    return best;
}

static inline void tk_extreme_s16(const tk_extreme_s16_params *restrict p, const int16_t *x,
                                  tk_beats_s16 *beats, int16_t *out) {
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            for (int32_t k = 0; k < p->kept[2]; k++) {
                *out++ = tk_extreme_from_s16(
                    p, x + i * p->kept_stride[0] + j * p->kept_stride[1] + k * p->kept_stride[2], beats);
            }
        }
    }
}

#endif
