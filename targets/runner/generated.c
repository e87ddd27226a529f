/* generated.c - the C of a network, linked in: TK_MODEL is its tk_model. With TK_LAYERS, timed by layer. */
#include <string.h>

#include "backend.h"
#include "clock.h"
#include "fail.h"
#include "memory.h"
#include "tk_model.h"

extern const tk_model TK_MODEL;

enum { ALIGNMENT = 16 };

struct model {
    uint8_t *arena;
};

#ifdef TK_LAYERS
extern const char *const TK_LAYER_NAMES[];
extern const uint32_t TK_LAYER_COUNT;

static uint64_t *layer_ns; /* of each step, where it is profiled; the last is of what is no step */
static uint64_t layer_began, inferences;
static uint32_t layer_current;

void tk_layer(uint32_t step) {
    if (!layer_ns) {
        return;
    }
    uint64_t now = clock_raw();
    layer_ns[layer_current] += now - layer_began;
    layer_current = step;
    layer_began = clock_raw(); /* without the time that this took */
}

static void begin_layers(void) {
    layer_current = TK_LAYER_COUNT;
    inferences++;
}

static void profile_layers(void) {
    layer_ns = memory_take((TK_LAYER_COUNT + 1) * sizeof *layer_ns);
}

static void ops(model *loaded, op_visitor *visit) {
    (void)loaded;
    for (uint32_t i = 0; i < TK_LAYER_COUNT; i++) {
        visit(i, "layer", TK_LAYER_NAMES[i], layer_ns[i], inferences);
    }
}
#define OPS ops
#else
static void begin_layers(void) {}

static void profile_layers(void) {
    FAIL(FAIL_INPUT, "this runner was built without layers (TK_LAYERS)");
}
#define OPS NULL
#endif

/* Where a program may put the inputs is the arena, but an inference overwrites it: they lie behind it. */
static uint8_t *input(model *loaded, uint32_t index) {
    uint8_t *place = loaded->arena + (TK_MODEL.arena_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    for (uint32_t i = 0; i < index; i++) {
        place += (TK_MODEL.input_bytes[i] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return place;
}

static model *load(const load_options *options) {
    static model loaded;
    if (strcmp(options->model, "-")) {
        FAIL(FAIL_INPUT, "the model of runtime c is linked in; give -, not ", options->model);
    }
    if (TK_MODEL.input_count > PORTS || TK_MODEL.output_count > PORTS || options->threads != 1) {
        FAIL(FAIL_INPUT, "runtime c has 1 thread, and up to 64 inputs and outputs");
    }
    size_t room = (size_t)(input(&loaded, TK_MODEL.input_count) - loaded.arena) + ALIGNMENT;
    loaded.arena = memory_take(room);
    if (options->profile) {
        profile_layers();
    }
    return &loaded;
}

static const char *runtime(model *loaded) {
    (void)loaded;
    return "generated C";
}

static void add_ports(ports *all, uint32_t count, const uint32_t *bytes) {
    memset(all, 0, sizeof *all);
    for (uint32_t i = 0; i < count; i++) {
        ports_add(all, (port){NULL, "uint8", 1, {bytes[i]}, 0}, 1);
    }
}

static void describe(model *loaded, ports *inputs, ports *outputs) {
    (void)loaded;
    add_ports(inputs, TK_MODEL.input_count, TK_MODEL.input_bytes);
    add_ports(outputs, TK_MODEL.output_count, TK_MODEL.output_bytes);
}

static void set_inputs(model *loaded, const uint8_t *sample) {
    for (uint32_t i = 0; i < TK_MODEL.input_count; i++) {
        memcpy(input(loaded, i), sample, TK_MODEL.input_bytes[i]);
        sample += TK_MODEL.input_bytes[i];
    }
}

static void invoke(model *loaded) {
    const void *inputs[PORTS];
    void *outputs[PORTS];
    for (uint32_t i = 0; i < TK_MODEL.input_count; i++) {
        inputs[i] = input(loaded, i);
    }
    for (uint32_t i = 0; i < TK_MODEL.output_count; i++) {
        outputs[i] = loaded->arena + TK_MODEL.output_offset[i];
    }
    begin_layers();
    TK_MODEL.invoke(inputs, outputs, loaded->arena);
}

static void get_outputs(model *loaded, uint8_t *sample) {
    for (uint32_t i = 0; i < TK_MODEL.output_count; i++) {
        memcpy(sample, loaded->arena + TK_MODEL.output_offset[i], TK_MODEL.output_bytes[i]);
        sample += TK_MODEL.output_bytes[i];
    }
}

const backend generated_backend = {"c", NULL, load, runtime, describe, set_inputs, invoke, get_outputs, OPS};
