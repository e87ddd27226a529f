#include "tk_conv2d_s8_scalar.h"

typedef struct {
    int32_t row;
    int32_t column;
} place;

/* The window of an output pixel in x; null where it is not read there. */
static const int8_t *inside(const tk_conv2d_s8_scalar_params *conv, const int8_t *x, place at) {
    const tk_patch_s8_params *p = &conv->window;
    const int32_t top = at.row * p->stride_height - p->pad_top;
    const int32_t left = at.column * p->stride_width - p->pad_left;
    const int32_t bottom = top + (p->kernel_height - 1) * p->dilation_height;
    if (conv->lay_out || p->dilation_width != 1 || top < 0 || left < 0 || bottom >= p->input_height ||
        left + p->kernel_width > p->input_width) {
        return 0;
    }
    return x + (top * p->input_width + left) * p->channels;
}

static place next(const tk_patch_s8_params *p, place at) {
    at.column++;
    if (at.column == p->output_width) {
        at.column = 0;
        at.row++;
    }
    return at;
}

void tk_conv2d_s8_scalar(const tk_conv2d_s8_scalar_params *p, const int8_t *x, int8_t *scratch, int8_t *out) {
    const tk_patch_s8_params *window = &p->window;
    const int32_t run = window->kernel_width * window->channels, channels = p->matrix.channels;
    const tk_runs in_x = {window->kernel_height, run,
                          window->dilation_height * window->input_width * window->channels};
    const tk_runs laid_out = {1, window->kernel_height * run, 0};
    place at = {0, 0};
    for (int32_t left = window->output_height * window->output_width; left > 0; left -= 2) {
        const place second = next(window, at);
        const tk_runs *runs = &in_x;
        const int8_t *x0 = inside(p, x, at), *x1 = left > 1 ? inside(p, x, second) : x0;
        if (!x0 || !x1) {
            runs = &laid_out;
            x0 = tk_patch_s8(window, x, at.row, at.column, scratch);
            x1 = left > 1 ? tk_patch_s8(window, x, second.row, second.column, scratch + laid_out.length) : x0;
        }
        tk_matrix_s8_scalar(&p->matrix, runs, x0, left > 1 ? x1 : 0, out, out + channels);
        out += 2 * channels;
        at = next(window, second);
    }
}
