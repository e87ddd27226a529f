/* litert.c - a .tflite file in LiteRT's CompiledModel on the CPU.
 *
 * Ports are in the order of the file's subgraph, as LiteRT's interpreter has them; buffers are in the order
 * of its first signature, which may be another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "fail.h"
#include "library.h"
#include "litert_abi.h"
#include "memory.h"
#include "sha256.h"

enum { EVENTS = 4096, OPS = 2048 };

#define DECLARE(name, arguments) litert_status(*name) arguments;
typedef struct {
    LITERT_FUNCTIONS(DECLARE)
} litert_api;

typedef struct {
    uint32_t count;
    litert buffer[PORTS];  /* in the signature's order */
    uint32_t place[PORTS]; /* of a port among them */
} side;

typedef struct {
    char *tag;
    int32_t type;
    uint64_t index, ns, count;
} op_times;

struct model {
    litert_api api;
    litert environment, signature, compiled, profiler;
    side in, out;
    ports inputs, outputs;
    op_times *ops;
    uint32_t op_count;
};

static void check(litert_status status, const char *what) {
    if (status) {
        FAIL(status == LITERT_NO_MEMORY ? FAIL_MEMORY : FAIL_MODEL, "LiteRT: ", what, ": status ",
             decimal((unsigned)status));
    }
}
#define CALL(loaded, name, ...) check((loaded)->api.name(__VA_ARGS__), #name)

/* A library of another release would crash, or worse. */
static void verify(const load_options *options) {
    const char *path = options->library;
    char digest[SHA256_TEXT];
    int failure = path ? sha256_file(path, digest) : EINVAL;
    if (failure) {
        FAIL(FAIL_LIBRARY, path ? path : "library=PATH", ": ", strerror(failure));
    }
    if (strcmp(digest, LITERT_SHA256)) {
        FAIL(FAIL_LIBRARY, path, " is not the libLiteRt.so of ai-edge-litert " LITERT_RELEASE
             " for this processor; its sha256 is ", digest);
    }
}

static void bind(litert_api *api, void *library) {
    function found;
#define BIND(name, arguments) \
    found = library_function(library, "LiteRt" #name); \
    memcpy(&api->name, &found, sizeof found);
    LITERT_FUNCTIONS(BIND)
}

static char *text(const char *bytes) {
    return strcpy(memory_take(strlen(bytes) + 1), bytes);
}

static void add_options(model *loaded, litert options, const char *name, const char *toml) {
    litert opaque = NULL;
    char *copy = text(toml);
    CALL(loaded, CreateOpaqueOptions, name, copy, free, &opaque);
    CALL(loaded, AddOpaqueOptions, options, opaque);
}

static void compile(model *loaded, litert file, const load_options *wanted) {
    litert options = NULL;
    char threads[40] = "num_threads = ";
    strcat(threads, decimal((unsigned)wanted->threads));
    strcat(threads, "\n");
    CALL(loaded, CreateOptions, &options);
    CALL(loaded, SetOptionsHardwareAccelerators, options, LITERT_CPU);
    add_options(loaded, options, LITERT_CPU_OPTIONS, threads);
    if (wanted->profile) {
        add_options(loaded, options, LITERT_RUNTIME_OPTIONS, "enable_profiling = true\n");
    }
    CALL(loaded, CreateCompiledModel, loaded->environment, file, options, &loaded->compiled);
}

static const struct {
    int32_t type;
    uint32_t width;
    const char *name;
} types[] = {{1, 4, "float32"}, {2, 4, "int32"},    {3, 1, "uint8"},   {4, 8, "int64"},
             {6, 1, "bool"},    {7, 2, "int16"},    {9, 1, "int8"},    {10, 2, "float16"},
             {11, 8, "float64"}, {13, 8, "uint64"}, {16, 4, "uint32"}, {17, 2, "uint16"}};

static void add_port(model *loaded, ports *all, litert tensor, litert_type *type,
                     const litert_layout *layout) {
    port added = {NULL, "unknown", layout->rank, {0}, 0};
    size_t width = 0;
    CALL(loaded, GetTensorName, tensor, &added.name);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type == type->element_type) {
            added.dtype = types[i].name;
            width = types[i].width;
        }
    }
    for (uint32_t i = 0; i < layout->rank && i < RANK; i++) {
        added.shape[i] = layout->dimensions[i];
    }
    if (layout->rank > RANK) {
        FAIL(FAIL_MODEL, "tensor ", added.name, " has more than 8 dimensions");
    }
    ports_add(all, added, width);
    type->layout = *layout;
}

/* Where the signature has what the subgraph has at an index; `find` is one of two functions of the API. */
static uint32_t place_of(model *loaded, litert tensor, uint32_t count,
                         litert_status (*find)(litert, size_t, litert *)) {
    for (uint32_t i = 0; i < count; i++) {
        litert other = NULL;
        check(find(loaded->signature, i, &other), "signature");
        if (other == tensor) {
            return i;
        }
    }
    FAIL(FAIL_MODEL, "LiteRT: the file's signature lacks an input or output of its subgraph");
}

static void make_buffer(model *loaded, side *at, uint32_t place, const litert_type *type, litert wanted,
                        size_t bytes) {
    size_t packed = 0;
    litert *buffer = &at->buffer[place];
    CALL(loaded, CreateManagedTensorBufferFromRequirements, loaded->environment, type, wanted, buffer);
    CALL(loaded, GetTensorBufferPackedSize, *buffer, &packed);
    if (packed != bytes) {
        FAIL(FAIL_MODEL, "LiteRT: a buffer of ", decimal(packed), " bytes for a tensor of ", decimal(bytes));
    }
}

static void add_inputs(model *loaded, litert subgraph) {
    for (uint32_t i = 0; i < loaded->in.count; i++) {
        litert tensor = NULL, wanted = NULL;
        litert_type type;
        litert_layout layout;
        CALL(loaded, GetSubgraphInput, subgraph, i, &tensor);
        CALL(loaded, GetRankedTensorType, tensor, &type);
        uint32_t place =
            place_of(loaded, tensor, loaded->in.count, loaded->api.GetSignatureInputTensorByIndex);
        CALL(loaded, GetCompiledModelInputTensorLayout, loaded->compiled, 0, place, &layout);
        add_port(loaded, &loaded->inputs, tensor, &type, &layout);
        CALL(loaded, GetCompiledModelInputBufferRequirements, loaded->compiled, 0, place, &wanted);
        make_buffer(loaded, &loaded->in, place, &type, wanted, loaded->inputs.port[i].bytes);
        loaded->in.place[i] = place;
    }
}

static void add_outputs(model *loaded, litert subgraph) {
    litert_layout layouts[PORTS];
    CALL(loaded, GetCompiledModelOutputTensorLayouts, loaded->compiled, 0, loaded->out.count, layouts, true);
    for (uint32_t i = 0; i < loaded->out.count; i++) {
        litert tensor = NULL, wanted = NULL;
        litert_type type;
        CALL(loaded, GetSubgraphOutput, subgraph, i, &tensor);
        CALL(loaded, GetRankedTensorType, tensor, &type);
        uint32_t place =
            place_of(loaded, tensor, loaded->out.count, loaded->api.GetSignatureOutputTensorByIndex);
        add_port(loaded, &loaded->outputs, tensor, &type, &layouts[place]);
        CALL(loaded, GetCompiledModelOutputBufferRequirements, loaded->compiled, 0, place, &wanted);
        make_buffer(loaded, &loaded->out, place, &type, wanted, loaded->outputs.port[i].bytes);
        loaded->out.place[i] = place;
    }
}

static uint32_t counted(size_t of_subgraph, size_t of_signature) {
    if (of_subgraph != of_signature || of_subgraph > PORTS) {
        FAIL(FAIL_MODEL, "LiteRT: a subgraph with ", decimal(of_subgraph),
             " inputs or outputs, a signature with ", decimal(of_signature), "; at most 64, as many in both");
    }
    return (uint32_t)of_subgraph;
}

static void add_ports(model *loaded) {
    litert subgraph = NULL;
    size_t a = 0, b = 0;
    CALL(loaded, GetSignatureSubgraph, loaded->signature, &subgraph);
    CALL(loaded, GetNumSubgraphInputs, subgraph, &a);
    CALL(loaded, GetNumSignatureInputs, loaded->signature, &b);
    loaded->in.count = counted(a, b);
    CALL(loaded, GetNumSubgraphOutputs, subgraph, &a);
    CALL(loaded, GetNumSignatureOutputs, loaded->signature, &b);
    loaded->out.count = counted(a, b);
    add_inputs(loaded, subgraph);
    add_outputs(loaded, subgraph);
}

static model *load(const load_options *options) {
    litert file = NULL;
    model *loaded = memory_take(sizeof *loaded);
    bind(&loaded->api, library_open(options->library));
    CALL(loaded, CreateEnvironment, 0, NULL, &loaded->environment);
    CALL(loaded, CreateModelFromFile, loaded->environment, options->model, &file);
    CALL(loaded, GetModelSignature, file, 0, &loaded->signature);
    compile(loaded, file, options);
    add_ports(loaded);
    if (options->profile) {
        loaded->ops = memory_take(OPS * sizeof *loaded->ops);
        CALL(loaded, CompiledModelGetProfiler, loaded->compiled, &loaded->profiler);
    }
    return loaded;
}

static const char *runtime(model *loaded) {
    (void)loaded;
    return "LiteRT " LITERT_RELEASE;
}

static void describe(model *loaded, ports *inputs, ports *outputs) {
    *inputs = loaded->inputs;
    *outputs = loaded->outputs;
}

/* Between a buffer and a part of a sample. */
static void copy(model *loaded, litert buffer, uint8_t *part, size_t bytes, int mode) {
    void *memory = NULL;
    CALL(loaded, LockTensorBuffer, buffer, &memory, mode);
    if (mode == LITERT_WRITE) {
        memcpy(memory, part, bytes);
    } else {
        memcpy(part, memory, bytes);
    }
    CALL(loaded, UnlockTensorBuffer, buffer);
}

static void set_inputs(model *loaded, const uint8_t *sample) {
    for (uint32_t i = 0; i < loaded->in.count; i++) {
        size_t bytes = loaded->inputs.port[i].bytes;
        uint8_t *part = (uint8_t *)(uintptr_t)sample; /* only read */
        copy(loaded, loaded->in.buffer[loaded->in.place[i]], part, bytes, LITERT_WRITE);
        sample += bytes;
    }
}

static void get_outputs(model *loaded, uint8_t *sample) {
    for (uint32_t i = 0; i < loaded->out.count; i++) {
        size_t bytes = loaded->outputs.port[i].bytes;
        copy(loaded, loaded->out.buffer[loaded->out.place[i]], sample, bytes, LITERT_READ);
        sample += bytes;
    }
}

static op_times *times_of(model *loaded, const litert_event *event) {
    const char *tag = event->tag ? event->tag : "";
    for (uint32_t i = 0; i < loaded->op_count; i++) {
        op_times *op = &loaded->ops[i];
        if (op->type == event->type && op->index == event->metadata1 && !strcmp(op->tag, tag)) {
            return op;
        }
    }
    op_times *added = &loaded->ops[loaded->op_count];
    if (loaded->op_count++ == OPS) {
        FAIL(FAIL_MEMORY, "LiteRT: more than ", decimal(OPS), " ops in its profile");
    }
    added->tag = text(tag);
    added->type = event->type;
    added->index = event->metadata1;
    return added;
}

/* Of one inference. */
static void add_events(model *loaded) {
    static litert_event events[EVENTS];
    int count = 0;
    CALL(loaded, GetNumProfilerEvents, loaded->profiler, &count);
    if (count < 0 || count > EVENTS) {
        FAIL(FAIL_MEMORY, "LiteRT: more than ", decimal(EVENTS), " events in one inference");
    }
    CALL(loaded, GetProfilerEvents, loaded->profiler, count, events);
    for (int i = 0; i < count; i++) {
        if (events[i].type & (LITERT_OP | LITERT_DELEGATE_OP | LITERT_DELEGATE_PROFILED_OP)) {
            op_times *op = times_of(loaded, &events[i]);
            op->ns += events[i].elapsed_us * 1000;
            op->count++;
        }
    }
}

static void run(model *loaded) {
    CALL(loaded, RunCompiledModel, loaded->compiled, 0, loaded->in.count, loaded->in.buffer,
         loaded->out.count, loaded->out.buffer);
}

static void invoke(model *loaded) {
    if (!loaded->profiler) {
        run(loaded);
        return;
    }
    CALL(loaded, ResetProfiler, loaded->profiler);
    CALL(loaded, StartProfiler, loaded->profiler);
    run(loaded);
    CALL(loaded, StopProfiler, loaded->profiler);
    add_events(loaded);
}

static void ops(model *loaded, op_visitor *visit) {
    for (uint32_t i = 0; i < loaded->op_count; i++) {
        const op_times *op = &loaded->ops[i];
        char name[40] = "";
        strcat(name, op->type == LITERT_OP ? "node:" : "delegate:");
        strcat(name, decimal(op->index));
        visit(i, op->tag, name, op->ns, op->count);
    }
}

const backend litert_backend = {"litert",   verify, load,        runtime, describe,
                                set_inputs, invoke, get_outputs, ops};
