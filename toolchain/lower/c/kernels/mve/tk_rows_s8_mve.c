#include "tk_rows_s8_mve.h"

#include "tk_pairs_s8_mve.h"

/* The last one to three channels of the job's first pair, after `groups` of four. */
static void last_channels(const tk_pairs_s8_mve_job *job, int32_t groups, int32_t channels) {
    int8_t codes[8];
    tk_pairs_s8_mve_job last = *job;
    last.groups = 1;
    last.stream += groups * (((job->depth + 15) >> 4) * 16 + 12);
    last.out0 = codes;
    last.out1 = codes + 4;
    tk_pairs_s8_mve(&last);
    for (int32_t o = 0; o < channels; o++) {
        job->out0[groups * 4 + o] = codes[o];
        job->out1[groups * 4 + o] = codes[4 + o];
    }
}

/* All channels pair by pair: an output may lie over the pixels of a pair that is done. */
static void odd_channels(tk_pairs_s8_mve_job *job, int32_t channels) {
    int32_t pairs = job->pairs;
    job->pairs = 1;
    for (; pairs > 0; pairs--) {
        if (job->groups > 0) {
            tk_pairs_s8_mve(job);
        }
        last_channels(job, job->groups, channels & 3);
        job->x0 += job->x_step;
        job->x1 += job->x_step;
        job->out0 += job->out_step;
        job->out1 += job->out_step;
    }
}

static void all_channels(tk_pairs_s8_mve_job *job, int32_t channels) {
    if (channels & 3) {
        odd_channels(job, channels);
    } else {
        tk_pairs_s8_mve(job);
    }
}

void tk_rows_s8_mve(const tk_rows_s8_mve_params *p, const int8_t *x, int32_t x_step, int8_t *out,
                    int32_t out_step, int32_t rows) {
    const int32_t even = rows & ~1;
    tk_pairs_s8_mve_job job = {
        .x0 = x, .x1 = x, .depth = p->depth, .groups = p->channels >> 2, .stream = p->stream,
        .out0 = out, .out1 = out, .x_step = 2 * x_step, .out_step = 2 * out_step, .pairs = even >> 1,
        .zero_point = p->zero_point, .low = p->low, .high = p->high, .exact = p->exact};
    if (even > 0) {
        tk_pairs_s8_mve_job pairs = job;
        pairs.x1 += x_step;
        pairs.out1 += out_step;
        all_channels(&pairs, p->channels);
    }
    if (rows > even) {
        job.x0 += even * x_step;
        job.x1 = job.x0;
        job.out0 += even * out_step;
        job.out1 = job.out0;
        job.pairs = 1;
        all_channels(&job, p->channels);
    }
}
