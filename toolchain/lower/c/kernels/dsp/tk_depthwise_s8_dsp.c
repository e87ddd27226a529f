#include "tk_depthwise_s8_dsp.h"

#include "tk_dsp.h"
#include "tk_plane_s8_dsp.h"
#include "tk_planes_s8_dsp.h"

typedef struct {
    const tk_depthwise_s8_dsp_params *p;
    const int8_t *x;
    int8_t *scratch;
    int8_t *out;
    int8_t *spare;
    tk_depthwise_rows_s8 *rows;
    tk_planes_s8 planes;
    tk_depthwise_plane_s8 plane;
} course;

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* Rows of padding for `count` channels. */
static void pad(const course *at, int32_t count, int32_t rows, int8_t *to) {
    const int32_t size = rows * at->planes.pitch;
    for (; count > 0; count--) {
        for (int32_t i = 0; i < size; i += 4) {
            tk_put_word(to + i, at->planes.padding & 0xff00ff00u);
        }
        to += at->planes.plane;
    }
}

/* `rows` rows of x or padding, from row `first` on, for `count` channels from `channel` on. */
static void lay(const course *at, int32_t channel, int32_t count, int32_t first, int32_t rows, int8_t *to) {
    const int32_t above = smaller(larger(-first, 0), rows);
    const int32_t inside = larger(smaller(at->p->rows - first, rows), above) - above;
    const int8_t *x = at->x + (first + above) * at->p->row_step + channel;
    int8_t *from = to + above * at->planes.pitch;
    if (at->p->band < at->p->output_rows) { /* else padding stays from channel to channel */
        pad(at, count, above, to);
        pad(at, count, rows - above - inside, from + inside * at->planes.pitch);
    }
    if (count == 4) {
        tk_planes_s8_dsp(&at->planes, x, inside, from);
        return;
    }
    for (; count > 0; count--) {
        tk_plane_s8_dsp(&at->planes, x, inside, from);
        x++;
        from += at->planes.plane;
    }
}

/* Rows that the next band needs too go to the planes' beginning. Gives their number. */
static int32_t carry(const course *at, int32_t count) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t done = p->band * p->stride_rows, kept = larger(p->scratch_rows - done, 0);
    int8_t *to = at->scratch;
    for (; count > 0; count--) {
        for (int32_t i = 0; i < kept * p->pitch; i += 4) {
            tk_put_word(to + i, tk_word(to + done * p->pitch + i));
        }
        to += at->planes.plane;
    }
    return kept;
}

/* Up to four channels from `channel` on, output rows from `row` on. */
static void group(course *at, int32_t channel, int32_t row) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t count = smaller(p->channels - channel, 4), rows = smaller(p->band, p->output_rows - row);
    const int32_t there = p->by_channel && row > 0 ? carry(at, count) : 0;
    lay(at, channel, count, row * p->stride_rows - p->pad_top + there,
        p->scratch_rows - (p->band - rows) * p->stride_rows - there, at->scratch + there * p->pitch);
    int32_t output = channel * p->multiplier;
    tk_depthwise_plane_s8 *plane = &at->plane;
    for (int32_t i = 0; i < count; i++) {
        for (int32_t m = 0; m < p->multiplier; m++) {
            plane->bias[0] = plane->bias[1] = plane->bias[2] = plane->bias[3] = p->scale[2 * output];
            plane->multiplier = p->scale[2 * output + 1];
            plane->rows = rows;
            plane->x = (const void *)(at->scratch + i * at->planes.plane);
            plane->out = at->out + row * p->output_row_step + output;
            at->rows(p, plane, p->weight + output * p->record, at->spare);
            output++;
        }
    }
}

static void set_up(course *at) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t planes = smaller(p->channels, 4);
    at->planes.row_step = p->row_step;
    at->planes.step = p->column_step;
    at->planes.count = smaller(p->columns, p->pitch / 2 - p->pad_left);
    at->planes.column = p->pad_left;
    at->planes.pitch = p->pitch;
    at->planes.plane = p->scratch_rows * p->pitch;
    at->planes.padding = ((uint32_t)p->fill & 0xffu) * 0x01010101u;
    at->spare = at->scratch + planes * at->planes.plane;
    tk_depthwise_plane_s8 *plane = &at->plane;
    plane->low = p->low;
    plane->high = p->high;
    plane->columns = p->output_columns;
    plane->pitch = p->pitch * p->dilation_rows;
    plane->step = p->output_column_step;
    plane->wide = (p->output_columns & ~3) * plane->step;
    plane->input_skip = p->stride_rows * p->pitch - 2 * p->stride_columns * (p->output_columns & ~1);
    plane->output_skip = p->output_row_step - p->output_columns * plane->step;
    pad(at, planes, p->scratch_rows, at->scratch);
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
