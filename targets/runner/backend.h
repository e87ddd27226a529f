/* backend.h - a runtime that runs a model: what the modes know of it. */
#ifndef BACKEND_H
#define BACKEND_H

#include <stddef.h>
#include <stdint.h>

enum { PORTS = 64, RANK = 8 };

typedef struct {
    const char *name;  /* NULL where the runtime does not tell */
    const char *dtype; /* as numpy calls it */
    uint32_t rank;
    int64_t shape[RANK];
    size_t bytes;
} port;

typedef struct {
    uint32_t count;
    size_t bytes; /* of all: a sample */
    port port[PORTS];
} ports;

typedef struct {
    const char *model;   /* a file */
    const char *library; /* of the runtime, a file */
    const char *scratch; /* what temporary files' names begin with */
    int threads;
    int profile; /* time ops */
} load_options;

/* An op that the runtime timed: ns of all its `count` executions. */
typedef void op_visitor(uint32_t index, const char *kind, const char *name, uint64_t ns, uint64_t count);

typedef struct model model; /* each backend's own */

/* All but `load` take what it returned. What fails ends the process (fail.h). */
typedef struct {
    const char *word; /* on the command line */
    void (*verify)(const load_options *options); /* the library, before it is loaded; or NULL */
    model *(*load)(const load_options *options);
    const char *(*runtime)(model *loaded); /* name and version */
    void (*describe)(model *loaded, ports *inputs, ports *outputs);
    void (*set_inputs)(model *loaded, const uint8_t *sample);
    void (*invoke)(model *loaded);
    void (*get_outputs)(model *loaded, uint8_t *sample);
    void (*ops)(model *loaded, op_visitor *visit); /* the last call; NULL where there is no profiler */
} backend;

extern const backend litert_backend, onnxruntime_backend, generated_backend;

/* Sets a port's bytes and adds them to the sample's; dimensions below 0 become 1, as a batch of one.
 * Fails for a type that has no fixed size (width 0), and beyond 1 GiB.
 */
void ports_add(ports *all, port added, size_t width);

#endif
