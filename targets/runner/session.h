/* session.h - a model loaded, and its samples: what all modes share. */
#ifndef SESSION_H
#define SESSION_H

#include "backend.h"
#include "samples.h"

typedef struct {
    const backend *backend;
    model *loaded;
    ports inputs, outputs;
    uint64_t load_ns;
    samples input;
} session;

typedef struct {
    uint64_t start_ns, wall_ns, cpu_ns; /* start: CLOCK_MONOTONIC_RAW */
} timing;

void session_open(session *opened, const backend *runtime, const load_options *options, const char *input);

/* The record's lines on runtime, ports and load_ns. */
void session_record(session *opened);

/* An inference of a sample. Only the inference itself is timed: the sample is read and handed over before. */
timing session_infer(session *opened, uint64_t sample);

#endif
