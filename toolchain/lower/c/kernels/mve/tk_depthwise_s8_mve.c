#include "tk_depthwise_s8_mve.h"

#include "tk_pieces_s8_mve.h"
#include "tk_words_s8_mve.h"

/* Some output pixels of one row or two. columns: of words;  before: of them on padding, on the left;  inside: on x
 */
typedef struct {
    int32_t row;
    int32_t column;
    int32_t count;
    int32_t columns;
    int32_t before;
    int32_t inside;
    int32_t left;
} strip;

static int32_t clamp(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

static strip strip_at(const tk_depthwise_s8_mve_params *p, int32_t row, int32_t column) {
    const int32_t rest = p->output_width - column, count = rest < p->strip ? rest : p->strip;
    const int32_t columns = (count - 1) * p->stride_width + (p->kernel_width - 1) * p->dilation_width + 1;
    const int32_t left = column * p->stride_width - p->pad_left;
    strip s = {.row = row, .column = column, .count = count, .columns = columns, .left = left};
    s.before = clamp(-left, 0, columns);
    s.inside = clamp(p->input_width - left, s.before, columns) - s.before;
    return s;
}

static void fill(const tk_depthwise_s8_mve_params *p, int8_t *to, int32_t columns) {
    tk_pieces_s8_mve pieces = {.to = to, .to_step = 0, .from = 0, .from_step = 0, .run = columns * 64, .count = 1};
    if (columns > 0) {
        tk_fill_pieces_s8_mve(&pieces, p->border);
    }
}

/* The strip's words for 16 channels or fewer from `channel` on. border: 16 codes of padding */
static void lay_words(const tk_depthwise_s8_mve_params *p, const int8_t *x, const strip *s, int32_t rows,
                      int32_t channel, const int8_t *border, int8_t *words) {
    const int32_t taps = p->kernel_height + rows - 1, left = p->channels - channel;
    int32_t y = s->row * p->stride_height - p->pad_top;
    tk_words_s8_mve_job job = {.to = words + s->before * 64, .count = s->inside, .channels = left < 16 ? left : 16};
    for (int32_t tap = 0; tap < 4; tap++) {
        int32_t on_x = tap < taps && y >= 0 && y < p->input_height && s->inside > 0;
        job.row[tap] = on_x ? x + (y * p->input_width + s->left + s->before) * p->channels + channel : border;
        job.step[tap] = on_x ? p->channels : 0;
        y += p->dilation_height;
    }
    fill(p, words, s->before);
    fill(p, words + (s->before + s->inside) * 64, s->columns - s->before - s->inside);
    if (s->inside > 0) {
        tk_words_s8_mve(&job);
    }
}

/* All output pixels of the strip for the job's groups. pitch: bytes between neighbouring pixels there. Of an odd
 * number the last one is made twice. */
static void run_tiles(const strip *s, int32_t rows, int32_t pitch, tk_depthwise_tiles_s8_mve *tiles,
                      tk_depthwise_tiles_s8_mve_job job) {
    if (rows == 2) {
        job.tiles = s->count;
        job.out_step = pitch;
        tiles(&job);
        return;
    }
    job.tiles = s->count >> 1;
    job.out_step = 2 * pitch;
    job.out1 = job.out0 + pitch;
    if (job.tiles > 0) {
        tiles(&job);
    }
    if (s->count & 1) {
        job.words += (s->count - 1) * job.x_step;
        job.out0 += (s->count - 1) * pitch;
        job.out1 = job.out0;
        job.tiles = 1;
        job.x_step = 0;
        tiles(&job);
    }
}

/* The last one to three channels: by way of `codes`. */
static void run_last(const tk_depthwise_s8_mve_params *p, const strip *s, int32_t rows, int8_t *codes,
                     tk_depthwise_tiles_s8_mve *tiles, const tk_depthwise_tiles_s8_mve_job *job) {
    tk_depthwise_tiles_s8_mve_job last = *job;
    tk_pieces_s8_mve pieces = {.to_step = p->channels, .from_step = 4, .run = p->channels & 3, .count = s->count};
    last.groups = 1;
    last.out0 = codes;
    last.out1 = codes + (job->out1 == job->out0 ? 0 : 4 * s->count);
    run_tiles(s, rows, 4, tiles, last);
    pieces.to = job->out0;
    pieces.from = codes;
    tk_copy_pieces_s8_mve(&pieces);
    if (rows == 2) {
        pieces.to = job->out1;
        pieces.from = last.out1;
        tk_copy_pieces_s8_mve(&pieces);
    }
}

static void run_strip(const tk_depthwise_s8_mve_params *p, const int8_t *x, const strip *s, int8_t *scratch,
                      int8_t *out, int32_t rows, tk_depthwise_tiles_s8_mve *tiles,
                      tk_depthwise_tiles_s8_mve_job job) {
    const int32_t channels = p->channels, line = p->output_width * channels;
    int8_t *border = scratch + s->columns * 64;
    job.out0 = out + s->row * line + s->column * channels;
    job.out1 = job.out0 + (rows == 2 && s->row + 1 < p->output_height ? line : 0);
    job.words = scratch;
    for (int32_t channel = 0; channel < channels; channel += 16) {
        const int32_t left = channels - channel;
        lay_words(p, x, s, rows, channel, border, scratch);
        job.groups = left < 16 ? left >> 2 : 4;
        if (job.groups > 0) {
            run_tiles(s, rows, channels, tiles, job);
        }
        job.stream += job.groups * 28;
        job.out0 += job.groups * 4;
        job.out1 += job.groups * 4;
        if (left < 16 && (left & 3)) {
            job.words += job.groups * 16;
            run_last(p, s, rows, border + 16, tiles, &job);
        }
    }
}

void tk_depthwise_s8_mve(const tk_depthwise_s8_mve_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         int32_t rows, tk_depthwise_tiles_s8_mve *tiles) {
    tk_depthwise_tiles_s8_mve_job job = {
        .stream = p->stream, .x_step = p->stride_width * 64, .zero_point = p->zero_point, .exact = p->exact,
        .low = p->low, .high = p->high};
    for (int32_t column = 1; column < p->kernel_width; column++) {
        job.lane[column] = (uint32_t)(column * p->dilation_width * 64);
    }
    for (int32_t row = 0; row < p->output_height; row += rows) {
        for (int32_t column = 0; column < p->output_width; column += p->strip) {
            const strip s = strip_at(p, row, column);
            tk_pieces_s8_mve border = {.to = scratch + s.columns * 64, .run = 16, .count = 1};
            tk_fill_pieces_s8_mve(&border, p->border);
            run_strip(p, x, &s, scratch, out, rows, tiles, job);
        }
    }
}
