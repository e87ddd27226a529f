#include "tk_fully_connected_s8_mve.h"

#include "tk_eight_s8_mve.h"

void tk_fully_connected_s8_mve(const tk_rows_s8_mve_params *p, const int8_t *x, int8_t *out) {
    const int32_t groups = p->channels >> 3, left = p->channels & 7;
    tk_eight_s8_mve_job job = {.x = x, .depth = p->depth, .groups = groups, .stream = p->stream, .out = out,
                               .zero_point = p->zero_point, .low = p->low, .high = p->high,
                               .exact = p->exact};
    if (groups > 0) {
        tk_eight_s8_mve(&job);
    }
    if (left > 0) {
        int8_t codes[8];
        job.groups = 1;
        job.stream += groups * (((p->depth + 15) >> 4) * 32 + 24);
        job.out = codes;
        tk_eight_s8_mve(&job);
        for (int32_t o = 0; o < left; o++) {
            out[groups * 8 + o] = codes[o];
        }
    }
}
