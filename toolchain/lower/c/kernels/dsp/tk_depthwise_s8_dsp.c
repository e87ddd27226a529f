#include "tk_depthwise_s8_dsp.h"

#include "tk_dsp.h"
#include "tk_plane_rows_s8_dsp.h"
#include "tk_planes_s8_dsp.h"

typedef struct {
    const tk_depthwise_s8_dsp_params *p;
    const int8_t *x;
    int8_t *scratch;
    int8_t *out;
    tk_depthwise_rows_s8 *rows;
    tk_planes_s8 planes;
    tk_depthwise_plane_s8 plane;
} course;

static int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

/* Up to four channels from `channel` on, output rows from `row` on. */
static void group(course *at, int32_t channel, int32_t row) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    const int32_t rows = smaller(p->band, p->output_rows - row), whole = p->band == p->output_rows;
    const int32_t four = smaller(channel, p->channels - 4), band = p->band * p->stride_rows;
    const int32_t kept = p->by_channel && row > 0 ? larger(p->scratch_rows - band, 0) : 0;
    const int32_t first = row * p->stride_rows - p->pad_top + kept;
    const int32_t needed = p->scratch_rows - (p->band - rows) * p->stride_rows - kept;
    const int32_t above = smaller(larger(-first, 0), needed);
    const int32_t inside = larger(smaller(p->rows - first, needed), above) - above;
    if (!whole) { /* else padding stays from channel to channel */
        tk_plane_rows_s8_dsp(&at->planes, at->scratch, 0, kept, band);
        tk_plane_rows_s8_dsp(&at->planes, at->scratch, kept, above, -1);
        tk_plane_rows_s8_dsp(&at->planes, at->scratch, kept + above + inside, needed - above - inside, -1);
    }
    tk_planes_s8_dsp(&at->planes, at->x + (first + above) * p->row_step + four, inside,
                     at->scratch + (kept + above) * p->pitch);
    tk_depthwise_plane_s8 *plane = &at->plane;
    for (int32_t output = channel * p->multiplier; output < (four + 4) * p->multiplier; output++) {
        plane->bias[0] = plane->bias[1] = plane->bias[2] = plane->bias[3] = p->scale[2 * output];
        plane->multiplier = p->scale[2 * output + 1];
        plane->rows = rows;
        plane->x = (const void *)(at->scratch + (output / p->multiplier - four) * at->planes.plane);
        plane->out = at->out + row * p->output_row_step + output;
        at->rows(p, plane, p->weight + output * p->record, at->scratch + 4 * at->planes.plane);
    }
}

static void set_up(course *at) {
    const tk_depthwise_s8_dsp_params *p = at->p;
    at->planes.row_step = p->row_step;
    at->planes.step = p->column_step;
    at->planes.count = smaller(p->columns, p->pitch / 2 - p->pad_left);
    at->planes.column = p->pad_left;
    at->planes.pitch = p->pitch;
    at->planes.plane = p->scratch_rows * p->pitch;
    at->planes.padding = ((uint32_t)p->fill & 0xffu) * 0x01010101u;
    tk_depthwise_plane_s8 *plane = &at->plane;
    plane->low = p->low;
    plane->high = p->high;
    plane->columns = p->output_columns;
    plane->pitch = p->pitch * p->dilation_rows;
    plane->step = p->output_column_step;
    plane->wide = (p->output_columns & ~3) * plane->step;
    plane->input_skip = p->stride_rows * p->pitch - 2 * p->stride_columns * (p->output_columns & ~1);
    plane->output_skip = p->output_row_step - p->output_columns * plane->step;
    tk_plane_rows_s8_dsp(&at->planes, at->scratch, 0, p->scratch_rows, -1);
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
