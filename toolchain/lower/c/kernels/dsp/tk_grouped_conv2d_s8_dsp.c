#include "tk_grouped_conv2d_s8_dsp.h"

#include "tk_clamp_s8_dsp.h"

void tk_grouped_conv2d_s8_dsp(const tk_grouped_conv2d_s8_dsp_params *p, const int8_t *x, void *scratch,
                              int8_t *out) {
    tk_conv2d_s8_dsp_params conv = p->conv;
    tk_block_s8_dsp *const block = &conv.matrix.block;
    const int32_t channels = conv.matrix.channels, pairs = (channels + 1) / 2;
    for (int32_t group = 0; group < p->groups; group++) {
        tk_conv2d_s8_dsp(&conv, x + group * conv.depth, scratch, out + group * channels);
        block->weight += pairs * 2 * block->units;
        block->output += pairs * 8;
    }
    tk_clamp_s8_dsp(out, conv.output_height * conv.output_width * conv.pitch, p->low, p->high);
}
