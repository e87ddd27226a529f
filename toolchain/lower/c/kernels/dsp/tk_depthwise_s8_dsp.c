#include "tk_depthwise_s8_dsp.h"

#include "tk_dsp.h"
#include "tk_planes_s8_dsp.h"

typedef struct {
    const tk_depthwise_s8_dsp_params *p;
    const int8_t *x;
    int8_t *scratch;
    int8_t *out;
    tk_depthwise_rows_s8 *rows;
    int32_t plane_size;
    int32_t columns;
    tk_depthwise_plane_s8 plane;
} course;

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

/* `size` bytes, a multiple of 4, of 256 * fill. */
static void fill(const tk_depthwise_s8_dsp_params *p, int8_t *to, int32_t size) {
    const uint32_t codes = ((uint32_t)p->fill & 0xffu) * 0x01000100u;
    for (int32_t i = 0; i < size; i += 4) {
        tk_put_word(to + i, codes);
    }
}

/* Row `row` of x, or padding, for `count` channels from `channel` on. In planes that hold all rows, padding
 * stays. */
static void lay_row(const course *at, int32_t row, int32_t channel, int32_t count, int8_t *to) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    if (row < 0 || row >= p->rows) {
        for (int32_t i = 0; i < count && p->band < p->output_rows; i++) {
            fill(p, to + i * at->plane_size, p->pitch);
        }
        return;
    }
    const int8_t *x = at->x + row * p->row_step + channel;
    if (count == 4) {
        tk_planes_s8_dsp(x, p->column_step, at->columns, to, p->pad_left, at->plane_size);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        tk_plane_s8_dsp(x + i, p->column_step, at->columns, to + i * at->plane_size, p->pad_left);
    }
}

/* Rows that the next band needs too go to the planes' beginning. Gives their number. */
static int32_t carry(const course *at, int32_t count) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t done = p->band * p->stride_rows, kept = p->scratch_rows - done;
    for (int32_t i = 0; i < count; i++) {
        int8_t *to = at->scratch + i * at->plane_size;
        for (int32_t j = 0; j < kept * p->pitch; j += 4) {
            tk_put_word(to + j, tk_word(to + done * p->pitch + j));
        }
    }
    return kept > 0 ? kept : 0;
}

static void one_output(course *at, int32_t plane, int32_t output, int32_t row) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t *scale = p->scale + 2 * output;
    tk_depthwise_plane_s8 *job = &at->plane;
    job->bias[0] = job->bias[1] = job->bias[2] = job->bias[3] = scale[0];
    job->multiplier = scale[1];
    job->rows = smaller(p->band, p->output_rows - row);
    job->x = (const void *)(at->scratch + plane * at->plane_size);
    job->out = at->out + row * p->output_row_step + output;
    at->rows(p, job, p->weight + output * p->record, at->scratch + smaller(p->channels, 4) * at->plane_size);
}

/* Up to four channels from `channel` on, output rows from `row` on. */
static void group(course *at, int32_t channel, int32_t row) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t count = smaller(p->channels - channel, 4), top = row * p->stride_rows - p->pad_top;
    const int32_t missing = p->band - smaller(p->band, p->output_rows - row);
    int32_t next = p->by_channel && row > 0 ? carry(at, count) : 0;
    for (; next < p->scratch_rows - missing * p->stride_rows; next++) {
        lay_row(at, top + next, channel, count, at->scratch + next * p->pitch);
    }
    for (int32_t i = 0; i < count; i++) {
        for (int32_t m = 0; m < p->multiplier; m++) {
            one_output(at, i, (channel + i) * p->multiplier + m, row);
        }
    }
}

static void set_up(course *at) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    tk_depthwise_plane_s8 *job = &at->plane;
    at->plane_size = p->scratch_rows * p->pitch;
    at->columns = smaller(p->columns, p->pitch / 2 - p->pad_left);
    job->low = p->low;
    job->high = p->high;
    job->columns = p->output_columns;
    job->pitch = p->pitch * p->dilation_rows;
    job->step = p->output_column_step;
    job->wide = (p->output_columns & ~3) * job->step;
    job->input_skip = p->stride_rows * p->pitch - 2 * p->stride_columns * (p->output_columns & ~1);
    job->output_skip = p->output_row_step - p->output_columns * job->step;
    fill(p, at->scratch, smaller(p->channels, 4) * at->plane_size);
}

void tk_depthwise_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         tk_depthwise_rows_s8 *rows) {
    course at = {.p = p, .x = x, .scratch = scratch, .out = out, .rows = rows};
    set_up(&at);
    int32_t channel = 0, row = 0;
    while (channel < p->channels && row < p->output_rows) {
        group(&at, channel, row);
        if (p->by_channel) {
            row += p->band;
            channel += row < p->output_rows ? 0 : 4;
            row = row < p->output_rows ? row : 0;
        } else {
            channel += 4;
            row += channel < p->channels ? 0 : p->band;
            channel = channel < p->channels ? channel : 0;
        }
    }
}
