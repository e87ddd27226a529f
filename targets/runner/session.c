#include "session.h"

#include <string.h>

#include "clock.h"
#include "fail.h"
#include "record.h"

enum { NAME_BYTES = 1000 };

void session_open(session *opened, const backend *runtime, const load_options *options, const char *input) {
    memset(opened, 0, sizeof *opened);
    opened->backend = runtime;
    if (!input) {
        FAIL(FAIL_INPUT, "no input=FILE");
    }
    if (runtime->verify) {
        runtime->verify(options);
    }
    uint64_t began = clock_raw();
    opened->loaded = runtime->load(options);
    opened->load_ns = clock_raw() - began;
    runtime->describe(opened->loaded, &opened->inputs, &opened->outputs);
    if (!opened->inputs.bytes || !opened->outputs.bytes) {
        FAIL(FAIL_MODEL, "the model has no inputs or no outputs");
    }
    samples_open(&opened->input, input, opened->inputs.bytes);
}

static void record_ports(const char *key, const ports *all) {
    for (uint32_t i = 0; i < all->count; i++) {
        const port *one = &all->port[i];
        if (!one->name) {
            continue;
        }
        size_t length = strlen(one->name);
        record_key(key);
        record_text(one->name, length < NAME_BYTES ? length : NAME_BYTES);
        record_word(one->dtype);
        record_word(one->rank ? "" : "-");
        for (uint32_t j = 0; j < one->rank; j++) {
            record_key(j ? "," : "");
            record_key(decimal((uint64_t)one->shape[j]));
        }
        record_end_line();
    }
}

void session_record(session *opened) {
    record_key("runtime");
    record_word(opened->backend->runtime(opened->loaded));
    record_end_line();
    record_ports("input", &opened->inputs);
    record_ports("output", &opened->outputs);
    record_numbers("load_ns", &opened->load_ns, 1);
}

timing session_infer(session *opened, uint64_t sample) {
    timing taken;
    opened->backend->set_inputs(opened->loaded, samples_read(&opened->input, sample % opened->input.count));
    uint64_t cpu = clock_cpu();
    taken.start_ns = clock_raw();
    opened->backend->invoke(opened->loaded);
    taken.wall_ns = clock_raw() - taken.start_ns;
    taken.cpu_ns = clock_cpu() - cpu;
    return taken;
}
