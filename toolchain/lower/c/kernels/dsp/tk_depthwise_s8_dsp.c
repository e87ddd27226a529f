#include "tk_depthwise_s8_dsp.h"

#include "tk_plane_rows_s8_dsp.h"
#include "tk_planes_s8_dsp.h"

typedef struct {
    const int8_t *x;
    int8_t *scratch;
    int8_t *out;
    tk_depthwise_rows_s8 *rows;
    tk_depthwise_plane_s8 plane;
} course;

/* value, or the end of [low, high] beyond which it is */
static int32_t within(int32_t value, int32_t low, int32_t high) {
    return value < low ? low : value > high ? high : value;
}

/* The planes of four channels from `channel` on, for output rows from `row` on. */
static void lay_out(const tk_depthwise_s8_dsp_params *p, const course *at, int32_t channel, int32_t row) {
    const int32_t kept = row > 0 ? p->kept : 0;
    const int32_t first = row * p->stride_rows - p->pad_top + kept, needed = p->scratch_rows - kept;
    const int32_t above = within(-first, 0, needed), end = within(p->rows - first, above, needed);
    if (p->band < p->output_rows) { /* else padding stays from channel to channel */
        tk_plane_rows_s8_dsp(p, at->scratch, 0, kept, p->band * p->stride_rows);
        tk_plane_rows_s8_dsp(p, at->scratch, kept, above, -1);
        tk_plane_rows_s8_dsp(p, at->scratch, kept + end, needed - end, -1);
    }
    tk_planes_s8_dsp(p, at->x + (first + above) * p->row_step + channel, end - above,
                     at->scratch + (kept + above) * p->pitch);
}

/* Up to four channels from `channel` on, output rows from `row` on. */
static void group(const tk_depthwise_s8_dsp_params *p, course *at, int32_t channel, int32_t row) {
    const int32_t four = channel < p->channels - 4 ? channel : p->channels - 4;
    const int32_t size = p->scratch_rows * p->pitch;
    lay_out(p, at, four, row);
    int8_t *x = at->scratch + (channel - four) * size, *const spare = at->scratch + 4 * size;
    for (int32_t output = channel * p->multiplier; x < spare; x += size) {
        for (int32_t left = p->multiplier; left > 0; left--, output++) {
            tk_depthwise_plane_s8 *plane = &at->plane;
            plane->bias[0] = plane->bias[1] = plane->bias[2] = plane->bias[3] = p->scale[2 * output];
            plane->multiplier = p->scale[2 * output + 1];
            plane->rows = p->band < p->output_rows - row ? p->band : p->output_rows - row;
            plane->x = (const void *)x;
            plane->out = at->out + row * p->output_row_step + output;
            at->rows(p, plane, output, spare);
        }
    }
}

void tk_depthwise_s8_dsp(const tk_depthwise_s8_dsp_params *p, const int8_t *x, int8_t *scratch, int8_t *out,
                         tk_depthwise_rows_s8 *rows) {
    course at;
    const int32_t step = p->output_column_step, columns = p->output_columns;
    at.x = x;
    at.scratch = scratch;
    at.out = out;
    at.rows = rows;
    at.plane.low = p->low;
    at.plane.high = p->high;
    at.plane.columns = columns;
    at.plane.pitch = p->pitch * p->dilation_rows;
    at.plane.step = step;
    at.plane.wide = (columns & ~3) * step;
    at.plane.input_skip = p->stride_rows * p->pitch - 2 * p->stride_columns * ((columns + 1) & ~1);
    at.plane.output_skip = p->output_row_step - columns * step;
    tk_plane_rows_s8_dsp(p, scratch, 0, p->scratch_rows, -1);
    for (int32_t channel = 0, row = 0; channel < p->channels && row < p->output_rows;) {
        group(p, &at, channel, row);
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
