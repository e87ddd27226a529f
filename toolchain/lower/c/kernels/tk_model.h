/* tk_model.h - what a program needs to know of any model to run it; every model.h declares one: <name>_model.
 *
 * Memory: one arena of arena_bytes, aligned to 16. Inputs and outputs have places in it, at input_offset[i]
 * and output_offset[i]: a program writes an input to its place, invokes, and reads the outputs from theirs;
 * an invocation overwrites the inputs there. Or it hands in buffers of its own, which invoke reads and
 * writes instead; these lie outside the arena, and apart.
 *
 * Made for a target with further memories (regions in its profile), a model's memory may be spread over
 * several arenas: then `arena` points to pointers to them, arenas[] in model.h. Inputs and outputs are in the
 * first, of arena_bytes.
 *
 * What goes in and out: codes, a byte each or int16 in a buffer aligned to 2, with SCALE and ZERO_POINT in
 * model.h; bool, a byte each, 0 or 1; int32 for whole numbers such as the index of an argmax, aligned to 4.
 *
 * invoke is reentrant: two arenas, two invocations at a time. There is nothing to set up before the first.
 * It allocates nothing and calls memcpy, memmove and memset only.
 *
 * Compiled with -DTK_LAYERS, a model calls the program's tk_layer(step) before each of its steps, counted
 * from 0, and once more after the last; <name>_layers[step] says what a step does. Steps are left
 * out where a chain answers early or is held to a level, and repeated in loops.
 */
#ifndef TK_MODEL_H
#define TK_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const char *name;
    const char *digest; /* sha256 of the graph that it was made from */
    uint32_t arena_bytes;
    uint32_t input_count;
    uint32_t output_count;
    const uint32_t *input_bytes;
    const uint32_t *input_offset;
    const uint32_t *output_bytes;
    const uint32_t *output_offset;
    void (*invoke)(const void *const inputs[], void *const outputs[], void *arena);
} tk_model;

#ifdef TK_LAYERS
void tk_layer(uint32_t step);
#define TK_LAYER(step) tk_layer(step)
#else
#define TK_LAYER(step) ((void)0)
#endif

#ifdef __cplusplus
}
#endif

#endif
