#include "tk_resize_bilinear_s8.h"

#include "tk_requantize.h"

/* Along one axis: distances from the start of x to both neighbours, and how far the second one counts. */
typedef struct {
    int32_t before;
    int32_t after;
    int32_t share;
} place;

static place place_at(int32_t position, int32_t size, int32_t pitch) {
    const int32_t before = position >> 10, after = before + 1 < size ? before + 1 : before;
    place found = {.before = before * pitch, .after = after * pitch, .share = position & 1023};
    return found;
}

static void pixel(const tk_resize_bilinear_s8_params *p, const int8_t *x, place row, place column,
                  int8_t *out) {
    const int8_t *upper = x + row.before, *lower = x + row.after;
    for (int32_t c = 0; c < p->channels; c++) {
        const int32_t i = column.before + c, j = column.after + c;
        int32_t left = upper[i] * (1024 - row.share) + lower[i] * row.share;
        int32_t right = upper[j] * (1024 - row.share) + lower[j] * row.share;
        int32_t sum = left * (1024 - column.share) + right * column.share;
        out[c] = (int8_t)tk_divide_by_power_of_two(sum, 20);
    }
}

void tk_resize_bilinear_s8(const tk_resize_bilinear_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t i = 0; i < p->output_height; i++) {
        const place row = place_at(p->row[i], p->input_height, p->input_width * p->channels);
        for (int32_t j = 0; j < p->output_width; j++) {
            pixel(p, x, row, place_at(p->column[j], p->input_width, p->channels), out);
            out += p->channels;
        }
    }
}
