/* golden: 3,900 MACs in 6 ops
 *
 * Made by edge-toolchain 0.1.0; do not edit.
 *
 *     static uint8_t arena[GOLDEN_ARENA_BYTES] __attribute__((aligned(16)));
 *     golden_invoke(input, output, arena);
 *
 * Or, with input and output at their places in the arena, which costs no memory beside it:
 *
 *     int8_t *input = (int8_t *)(arena + GOLDEN_INPUT_0_OFFSET);
 *     int8_t *output = (int8_t *)(arena + GOLDEN_OUTPUT_0_OFFSET);
 *
 * code = round(real / SCALE) + ZERO_POINT. Channels last. See tk_model.h for the arena and the buffers.
 */
#ifndef GOLDEN_MODEL_H
#define GOLDEN_MODEL_H

#include "tk_model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GOLDEN_VERSION "edge-toolchain 0.1.0"
#define GOLDEN_DIGEST "cfbe9086bb30982f2c218927fc350db0b3aec2de6f6a6d3383042eb8d23242a9"
#define GOLDEN_ARENA_BYTES 324u
#define GOLDEN_WEIGHT_BYTES 1243u
#define GOLDEN_MACS 3900u
#define GOLDEN_PEAK "dw (act 144, dw 144, dw.scratch 36)"

#define GOLDEN_INPUT_COUNT 1u
/* x: int8 [1, 6, 6, 2] */
#define GOLDEN_INPUT_0_BYTES 72u
#define GOLDEN_INPUT_0_OFFSET 88u
#define GOLDEN_INPUT_0_SCALE 1.176470611e-02f
#define GOLDEN_INPUT_0_ZERO_POINT (-1)

#define GOLDEN_OUTPUT_COUNT 1u
/* probabilities: int8 [1, 3] */
#define GOLDEN_OUTPUT_0_BYTES 3u
#define GOLDEN_OUTPUT_0_OFFSET 0u
#define GOLDEN_OUTPUT_0_SCALE 3.906250000e-03f
#define GOLDEN_OUTPUT_0_ZERO_POINT (-128)

#ifdef TK_LAYERS
#define GOLDEN_LAYER_COUNT 6u
extern const uint32_t golden_layer_count;
extern const char *const golden_layers[GOLDEN_LAYER_COUNT];
#endif

void golden_invoke(const int8_t *input, int8_t *output, void *arena);

/* The same behind one signature for every model. */
extern const tk_model golden_model;

#ifdef __cplusplus
}
#endif

#endif
