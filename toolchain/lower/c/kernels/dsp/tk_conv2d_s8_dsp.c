#include "tk_conv2d_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"
#include "tk_gather_row_s8_dsp.h"
#include "tk_widen_tile_s8_dsp.h"

/* The patches of three pixels as words; `step` is from one's number to the next one's. */
static void lay_out(const tk_conv2d_s8_dsp_params *p, const int8_t *x, int32_t pixel, int32_t step,
                    uint32_t *words) {
    const int32_t bytes = p->kernel_width * p->depth;
    const int32_t pitch = p->dilation_height * p->input_width * p->channels;
    int8_t *const runs = (int8_t *)(words + 6 * p->matrix.block.units);
    int32_t y[3], left[3], rows = p->kernel_height;
    const int8_t *windows[3];
    for (int32_t i = 0; i < 3; i++, pixel += step) {
        const int32_t row = pixel / p->output_width, column = pixel - row * p->output_width;
        y[i] = row * p->stride_height - p->pad_top;
        left[i] = column * p->stride_width - p->pad_left;
        if ((uint32_t)y[i] < p->inner_height && (uint32_t)left[i] < p->inner_width) {
            windows[i] = x + (y[i] * p->input_width + left[i]) * p->channels;
        } else {
            windows[i] = 0;
            rows = 1;
        }
    }
    for (int32_t tap = 0; tap < p->kernel_height; tap += rows) {
        const int8_t *three[3];
        for (int32_t i = 0; i < 3; i++) {
            three[i] = windows[i];
            if (windows[i]) {
                windows[i] += pitch;
            } else {
                three[i] = runs + i * bytes;
                tk_gather_row_s8_dsp(p, x, y[i] + tap * p->dilation_height, left[i], runs + i * bytes);
            }
        }
        words = tk_widen_tile_s8_dsp(three, bytes, words, rows, pitch);
    }
}

void tk_conv2d_s8_dsp(const tk_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch, int8_t *out) {
    const int32_t pixels = p->output_height * p->output_width;
    const int32_t step = pixels < 3 ? 1 : 3, last = pixels - step;
    for (int32_t done = 0; done < pixels; done += step) {
        const int32_t next = done < last ? done : last, first = p->backwards ? last - next : next;
        lay_out(p, x, first, step == 3, scratch);
        tk_matrix_s8_dsp(&p->matrix, scratch, out + first * p->pitch, step == 3 ? p->pitch : 0);
    }
    tk_clamp_s8_dsp(out, pixels * p->pitch, p->matrix.low, p->matrix.high);
}
