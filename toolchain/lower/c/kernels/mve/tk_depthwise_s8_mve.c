#include "tk_depthwise_s8_mve.h"

#include "tk_pieces_s8_mve.h"
#include "tk_words_s8_mve.h"

/* One call. border: 16 codes of padding;  count: output pixels of the strip */
typedef struct {
    const tk_depthwise_s8_mve_params *p;
    tk_depthwise_tiles_s8_mve *tiles;
    int32_t rows;
    int32_t count;
    const int8_t *border;
    tk_words_s8_mve_job words;
    tk_depthwise_tiles_s8_mve_job job;
} run;

static void fill(const tk_window_s8_mve *window, int8_t *to, int32_t bytes) {
    const tk_pieces_s8_mve piece = {.to = to, .run = bytes, .count = bytes > 0};
    tk_fill_pieces_s8_mve(&piece, window->zero_point);
}

/* The strip's outputs of the job's groups. pitch: bytes between neighbouring pixels of the output. Of an odd
 * number of columns the last one is made twice. */
static void run_tiles(run *r, int8_t *out0, int8_t *out1, int32_t pitch) {
    tk_depthwise_tiles_s8_mve_job *job = &r->job;
    const int32_t last = r->count - 1;
    job->out0 = out0;
    job->out1 = out1;
    job->x_step = r->p->window.stride_width * 64;
    job->tiles = r->count;
    job->out_step = pitch;
    if (r->rows == 1) {
        job->tiles = r->count >> 1;
        job->out_step = 2 * pitch;
        job->out1 = out0 + pitch;
    }
    if (job->tiles > 0) {
        r->tiles(job);
    }
    if (r->rows == 1 && !(last & 1)) {
        job->words += last * job->x_step;
        job->out0 = out0 + last * pitch;
        job->out1 = job->out0;
        job->tiles = 1;
        job->x_step = 0;
        r->tiles(job);
    }
}

/* The last one to three channels, by way of `codes`. */
static void run_last(run *r, int8_t *codes, int8_t *out0, int8_t *out1, int32_t channels) {
    int8_t *lower = codes + 4 * r->count;
    tk_pieces_s8_mve pieces = {.to = out1, .to_step = r->p->window.channels, .from = lower, .from_step = 4,
                               .run = channels, .count = out1 == out0 ? 0 : r->count};
    r->job.groups = 1;
    run_tiles(r, codes, lower, 4);
    tk_copy_pieces_s8_mve(&pieces);
    pieces.to = out0;
    pieces.from = codes;
    pieces.count = r->count;
    tk_copy_pieces_s8_mve(&pieces);
}

/* All channels of the strip, 16 at a time. */
static void run_channels(run *r, int8_t *words, int8_t *codes, int8_t *out0, int8_t *out1) {
    const int32_t channels = r->p->window.channels;
    r->job.stream = r->p->stream;
    for (int32_t left = channels; left > 0; left -= 16) {
        r->words.channels = left < 16 ? left : 16;
        if (r->words.count > 0) {
            tk_words_s8_mve(&r->words);
        }
        r->job.words = words;
        r->job.groups = r->words.channels >> 2;
        if (r->job.groups > 0) {
            run_tiles(r, out0, out1, channels);
        }
        r->job.stream += r->job.groups * 28;
        if (r->words.channels & 3) {
            r->job.words = words + r->job.groups * 16;
            run_last(r, codes, out0 + (left & ~3), out1 + (left & ~3), left & 3);
        }
        for (int32_t tap = 0; tap < 4; tap++) {
            r->words.row[tap] += r->words.step[tap] == 0 ? 0 : 16;
        }
        out0 += 16;
        out1 += 16;
    }
}

/* Where the words' rows come from; those that are not on x, from the border. */
static void find_rows(run *r, const int8_t *x, int32_t top, int32_t left) {
    const tk_window_s8_mve *window = &r->p->window;
    const int32_t taps = window->kernel_height + r->rows - 1;
    for (int32_t tap = 0; tap < 4; tap++) {
        const int32_t y = top + tap * window->dilation_height;
        const int32_t on_x = tap < taps && y >= 0 && y < window->input_height && r->words.count > 0;
        r->words.row[tap] = on_x ? x + (y * window->input_width + left) * window->channels : r->border;
        r->words.step[tap] = on_x ? window->channels : 0;
    }
}

static void run_strip(run *r, const int8_t *x, int32_t row, int32_t column, int8_t *words, int8_t *out) {
    const tk_window_s8_mve *window = &r->p->window;
    const int32_t rest = window->output_width - column, count = rest < window->strip ? rest : window->strip;
    const int32_t left = column * window->stride_width - window->pad_left;
    const int32_t reach = (window->kernel_width - 1) * window->dilation_width + 1;
    const int32_t columns = (count - 1) * window->stride_width + reach;
    const tk_span_s8_mve inside = tk_span_on_x_s8_mve(window, left, 1, columns);
    int8_t *out0 = out + (row * window->output_width + column) * window->channels;
    const int32_t below = r->rows == 2 && row + 1 < window->output_height;
    r->count = count;
    r->words.to = words + inside.begin * 64;
    r->words.count = inside.end - inside.begin;
    find_rows(r, x, row * window->stride_height - window->pad_top, left + inside.begin);
    fill(window, words, inside.begin * 64);
    fill(window, words + inside.end * 64, (columns - inside.end) * 64);
    run_channels(r, words, words + columns * 64, out0,
                 out0 + (below ? window->output_width * window->channels : 0));
}

void tk_depthwise_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         int32_t rows, tk_depthwise_tiles_s8_mve *tiles) {
    run r;
    r.p = p;
    r.tiles = tiles;
    r.rows = rows;
    r.border = scratch;
    r.job.zero_point = p->zero_point;
    r.job.exact = p->exact;
    r.job.low = p->low;
    r.job.high = p->high;
    for (int32_t column = 0; column < 4; column++) {
        const int32_t tap = column < p->window.kernel_width ? column : 0;
        r.job.lane[column] = (uint32_t)(tap * p->window.dilation_width * 64);
    }
    fill(&p->window, scratch, 16);
    for (int32_t row = 0; row < p->window.output_height; row += rows) {
        for (int32_t column = 0; column < p->window.output_width; column += p->window.strip) {
            run_strip(&r, x, row, column, scratch + 16, out);
        }
    }
}
