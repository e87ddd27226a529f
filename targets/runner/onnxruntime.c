/* onnxruntime.c - a .onnx file in an ONNX Runtime session on the CPU, set up as the toolchain's own is. */
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "fail.h"
#include "library.h"
#include "memory.h"
#include "onnxruntime_abi.h"
#include "trace.h"

#define DECLARE(name, index, arguments) ort_status(*name) arguments;
typedef struct {
    ORT_FUNCTIONS(DECLARE)
    int (*code)(ort_status status);
    const char *(*message)(ort_status status);
} ort_api;

typedef struct {
    ports ports;
    uint8_t *memory; /* a sample */
    const char *names[PORTS];
    ort *values[PORTS]; /* that lie in it */
} side;

struct model {
    ort_api api;
    char runtime[64];
    ort *session, *allocator, *memory;
    side in, out;
};

/* Each tensor begins where kernels like it. */
enum { ALIGNMENT = 64 };

static void check(const model *loaded, ort_status status) {
    if (status) {
        int code = loaded->api.code(status);
        const char *message = loaded->api.message(status);
        FAIL(strstr(message, "bad_alloc") || strstr(message, "Failed to allocate") ? FAIL_MEMORY : FAIL_MODEL,
             "ONNX Runtime: ", message, " (error ", decimal((unsigned)code), ")");
    }
}
#define CALL(loaded, name, ...) check(loaded, (loaded)->api.name(__VA_ARGS__))

static void entry(const void *const *table, size_t index, void *place) {
    memcpy(place, &table[index], sizeof table[index]);
}

static void bind(model *loaded, void *library) {
    const ort_base *(*get_base)(void);
    function found = library_function(library, "OrtGetApiBase");
    memcpy(&get_base, &found, sizeof found);
    const ort_base *base = get_base();
    const void *const *table = base->get_api(ORT_VERSION);
    if (!table) {
        FAIL(FAIL_LIBRARY, "ONNX Runtime ", base->get_version(), " is older than this runner needs: 1.6");
    }
#define BIND(name, index, arguments) entry(table, index, &loaded->api.name);
    ORT_FUNCTIONS(BIND)
    entry(table, ORT_GET_ERROR_CODE, &loaded->api.code);
    entry(table, ORT_GET_ERROR_MESSAGE, &loaded->api.message);
    strcpy(loaded->runtime, "ONNX Runtime ");
    strncat(loaded->runtime, base->get_version(), sizeof loaded->runtime - strlen(loaded->runtime) - 1);
}

/* toolchain/runtime/onnxruntime.py says why. */
static ort *session_options(model *loaded, const load_options *wanted) {
    ort *options = NULL;
    CALL(loaded, CreateSessionOptions, &options);
    CALL(loaded, SetIntraOpNumThreads, options, wanted->threads);
    CALL(loaded, SetInterOpNumThreads, options, 1);
    CALL(loaded, DisableMemPattern, options);
    CALL(loaded, SetSessionLogSeverityLevel, options, ORT_LOG_FATAL);
    CALL(loaded, AddSessionConfigEntry, options, "session.qdqisint8allowed", "1");
    CALL(loaded, AddSessionConfigEntry, options, "optimization.disable_specified_optimizers",
         "Pad_Fusion;WeightBiasQuantization");
    if (wanted->profile) {
        if (!wanted->scratch) {
            FAIL(FAIL_INPUT, "profile of onnxruntime needs scratch=PATH, what its file's name begins with");
        }
        CALL(loaded, EnableProfiling, options, wanted->scratch);
    }
    return options;
}

/* onnxruntime_c_api.h, ONNXTensorElementDataType, from 1. */
static const struct {
    const char *name;
    uint32_t width;
} types[] = {{"float32", 4}, {"uint8", 1},  {"int8", 1}, {"uint16", 2},  {"int16", 2},
             {"int32", 4},   {"int64", 8},  {"string", 0}, {"bool", 1}, {"float16", 2},
             {"float64", 8}, {"uint32", 4}, {"uint64", 8}};
enum { TYPES = sizeof types / sizeof *types };

static void add_port(model *loaded, side *at, char *name, ort *info) {
    const ort *tensor = NULL;
    port added = {name, "unknown", 0, {0}, 0};
    int type = 0;
    size_t rank = 0;
    CALL(loaded, CastTypeInfoToTensorInfo, info, &tensor);
    if (!tensor) {
        FAIL(FAIL_MODEL, "ONNX Runtime: ", name, " is not a tensor");
    }
    CALL(loaded, GetTensorElementType, tensor, &type);
    CALL(loaded, GetDimensionsCount, tensor, &rank);
    if (rank > RANK) {
        FAIL(FAIL_MODEL, "tensor ", name, " has more than 8 dimensions");
    }
    added.rank = (uint32_t)rank;
    CALL(loaded, GetDimensions, tensor, added.shape, rank);
    for (size_t i = 1; i < rank; i++) {
        if (added.shape[i] < 0) {
            FAIL(FAIL_MODEL, "tensor ", name, " has a symbolic dimension that is not its first");
        }
    }
    int known = type >= 1 && type <= TYPES;
    added.dtype = known ? types[type - 1].name : added.dtype;
    at->names[at->ports.count] = name;
    ports_add(&at->ports, added, known ? types[type - 1].width : 0);
}

static int type_of(const char *dtype) {
    int type = 1;
    while (strcmp(types[type - 1].name, dtype)) {
        type++;
    }
    return type;
}

/* Memory for a sample, and values that lie in it. */
static void make_values(model *loaded, side *at) {
    size_t start = 0, room = at->ports.bytes + (size_t)at->ports.count * ALIGNMENT;
    at->memory = memory_take(room);
    for (uint32_t i = 0; i < at->ports.count; i++) {
        const port *one = &at->ports.port[i];
        CALL(loaded, CreateTensorWithDataAsOrtValue, loaded->memory, at->memory + start, one->bytes,
             one->shape, one->rank, type_of(one->dtype), &at->values[i]);
        start += (one->bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

static void add_ports(model *loaded) {
    size_t inputs = 0, outputs = 0;
    char *name = NULL;
    ort *info = NULL;
    CALL(loaded, SessionGetInputCount, loaded->session, &inputs);
    CALL(loaded, SessionGetOutputCount, loaded->session, &outputs);
    for (size_t i = 0; i < inputs && i <= PORTS; i++) {
        CALL(loaded, SessionGetInputName, loaded->session, i, loaded->allocator, &name);
        CALL(loaded, SessionGetInputTypeInfo, loaded->session, i, &info);
        add_port(loaded, &loaded->in, name, info);
    }
    for (size_t i = 0; i < outputs && i <= PORTS; i++) {
        CALL(loaded, SessionGetOutputName, loaded->session, i, loaded->allocator, &name);
        CALL(loaded, SessionGetOutputTypeInfo, loaded->session, i, &info);
        add_port(loaded, &loaded->out, name, info);
    }
}

static model *load(const load_options *options) {
    ort *environment = NULL;
    model *loaded = memory_take(sizeof *loaded);
    bind(loaded, library_open(options->library));
    CALL(loaded, CreateEnv, ORT_LOG_FATAL, "edge-runner", &environment);
    CALL(loaded, DisableTelemetryEvents, environment);
    ort *set_up = session_options(loaded, options);
    CALL(loaded, CreateSession, environment, options->model, set_up, &loaded->session);
    CALL(loaded, GetAllocatorWithDefaultOptions, &loaded->allocator);
    CALL(loaded, CreateCpuMemoryInfo, ORT_ARENA_ALLOCATOR, ORT_MEMORY_DEFAULT, &loaded->memory);
    add_ports(loaded);
    make_values(loaded, &loaded->in);
    make_values(loaded, &loaded->out);
    return loaded;
}

static const char *runtime(model *loaded) {
    return loaded->runtime;
}

static void describe(model *loaded, ports *inputs, ports *outputs) {
    *inputs = loaded->in.ports;
    *outputs = loaded->out.ports;
}

static void set_inputs(model *loaded, const uint8_t *sample) {
    uint8_t *place = loaded->in.memory;
    for (uint32_t i = 0; i < loaded->in.ports.count; i++) {
        size_t bytes = loaded->in.ports.port[i].bytes;
        memcpy(place, sample, bytes);
        place += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        sample += bytes;
    }
}

static void get_outputs(model *loaded, uint8_t *sample) {
    const uint8_t *place = loaded->out.memory;
    for (uint32_t i = 0; i < loaded->out.ports.count; i++) {
        size_t bytes = loaded->out.ports.port[i].bytes;
        memcpy(sample, place, bytes);
        place += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        sample += bytes;
    }
}

static void invoke(model *loaded) {
    const ort *const *inputs = (const ort *const *)loaded->in.values;
    CALL(loaded, Run, loaded->session, NULL, loaded->in.names, inputs, loaded->in.ports.count,
         loaded->out.names, loaded->out.ports.count, loaded->out.values);
}

static void ops(model *loaded, op_visitor *visit) {
    char *path = NULL;
    CALL(loaded, SessionEndProfiling, loaded->session, loaded->allocator, &path);
    trace_read(path, visit);
    unlink(path);
}

const backend onnxruntime_backend = {"onnxruntime", NULL,   load,        runtime, describe,
                                     set_inputs,    invoke, get_outputs, ops};
