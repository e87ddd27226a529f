#include "modes.h"

#include <string.h>
#include <sys/resource.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "memory.h"
#include "perf.h"
#include "record.h"
#include "session.h"

/* The peak without what the logs take; `before`: what it was when these were empty. */
static void record_memory(unsigned long before) {
    unsigned long peak_kb = memory_peak_kb(), now_kb = memory_now_kb(), own = log_kb();
    unsigned long all = peak_kb > now_kb ? peak_kb : now_kb;
    uint64_t peak = all > own && all - own > before ? all - own : before;
    if (peak) {
        record_numbers("vm_hwm_kb", &peak, 1);
    }
}

static void record_number_line(const char *key, uint64_t value) {
    record_numbers(key, &value, 1);
}

void mode_run(const backend *runtime, const run_options *options) {
    session opened;
    results output;
    session_open(&opened, runtime, &options->load, options->input);
    results_open(&output, options->output, opened.outputs.bytes);
    session_record(&opened);
    for (uint64_t i = 0; i < opened.input.count; i++) {
        timing taken = session_infer(&opened, i);
        if (i == 0) {
            record_number_line("first_ns", taken.wall_ns);
        }
        runtime->get_outputs(opened.loaded, output.sample);
        results_write(&output);
    }
    results_close(&output);
    record_number_line("inferences", opened.input.count);
    record_memory(0);
}

/* --- time ---------------------------------------------------------------------------------------------- */

#define TIMINGS 10000000u /* that there is address space for */

typedef struct {
    session session;
    results output;
    log_memory timings;
    uint64_t every; /* one of so many inferences in a row is told */
    uint64_t began_ns, ended_ns, inferences;
    unsigned long memory_kb; /* after the first inference */
    struct rusage before, after;
} timed_run;

static void time_one(timed_run *run) {
    uint64_t index = run->inferences++;
    timing taken = session_infer(&run->session, index);
    run->ended_ns = taken.start_ns + taken.wall_ns;
    if (index % run->every == 0) {
        timing *kept = log_take(&run->timings, sizeof *kept); /* there is room for most= of them */
        *kept = taken;
    }
    if (index < run->session.input.count && run->output.path) {
        run->session.backend->get_outputs(run->session.loaded, run->output.sample);
        results_write(&run->output);
    }
    if (index == 0) {
        run->memory_kb = memory_peak_kb();
    }
}

static void time_all(timed_run *run, const run_options *options) {
    watch_read(clock_raw(), 0);
    getrusage(RUSAGE_SELF, &run->before);
    run->began_ns = clock_raw();
    do {
        time_one(run);
        watch_read(run->ended_ns, options->watch_ns);
    } while (run->inferences < options->most &&
             (run->inferences < options->least || run->ended_ns - run->began_ns < options->seconds_ns));
    run->ended_ns = clock_raw();
    getrusage(RUSAGE_SELF, &run->after);
    watch_read(clock_raw(), 0);
}

static void record_timings(const timed_run *run) {
    const timing *taken = (const timing *)(const void *)run->timings.bytes;
    record_number_line("first_ns", taken->wall_ns);
    record_number_line("began_ns", run->began_ns);
    record_number_line("ended_ns", run->ended_ns);
    record_number_line("inferences", run->inferences);
    record_number_line("every", run->every);
    for (uint64_t i = 0; i < run->timings.used / sizeof *taken; i++) {
        const uint64_t values[] = {taken[i].start_ns - run->began_ns, taken[i].wall_ns, taken[i].cpu_ns};
        record_numbers("sample", values, 3);
    }
}

static void record_usage(const struct rusage *before, const struct rusage *after) {
    const uint64_t faults[] = {(uint64_t)(after->ru_minflt - before->ru_minflt),
                               (uint64_t)(after->ru_majflt - before->ru_majflt)};
    const uint64_t switches[] = {(uint64_t)(after->ru_nvcsw - before->ru_nvcsw),
                                 (uint64_t)(after->ru_nivcsw - before->ru_nivcsw)};
    record_numbers("faults", faults, 2);
    record_numbers("switches", switches, 2);
}

/* Starting and stopping costs some instructions of its own: as often without an inference, and taken off. */
static void count(session *opened, uint64_t inferences) {
    static const char *const keys[PERF_COUNTERS] = {"instructions", "cycles"};
    uint64_t empty[PERF_COUNTERS], total[PERF_COUNTERS];
    int known[PERF_COUNTERS];
    for (uint64_t i = 0; i < inferences; i++) {
        perf_start();
        perf_stop();
    }
    for (int i = 0; i < PERF_COUNTERS; i++) {
        known[i] = perf_read(i, &empty[i]);
    }
    for (uint64_t i = 0; i < inferences; i++) {
        opened->backend->set_inputs(opened->loaded, samples_read(&opened->input, i % opened->input.count));
        perf_start();
        opened->backend->invoke(opened->loaded);
        perf_stop();
    }
    for (int i = 0; i < PERF_COUNTERS; i++) {
        if (known[i] && perf_read(i, &total[i]) && total[i] > 2 * empty[i]) {
            record_number_line(keys[i], (total[i] - 2 * empty[i] + inferences / 2) / inferences);
        }
    }
}

void mode_time(const backend *runtime, const run_options *options) {
    timed_run run;
    memset(&run, 0, sizeof run);
    run.every = options->every;
    uint64_t room = options->most / run.every + 1;
    if (room > TIMINGS + 1) {
        FAIL(FAIL_INPUT, "most= and every= make more than ", decimal(TIMINGS), " inferences to be told");
    }
    perf_open();
    session_open(&run.session, runtime, &options->load, options->input);
    results_open(&run.output, options->output, run.session.outputs.bytes);
    log_open(&run.timings, (size_t)room * sizeof(timing));
    watch_open(options->watch);
    time_all(&run, options);
    results_close(&run.output);
    session_record(&run.session);
    record_timings(&run);
    watch_record();
    record_memory(run.memory_kb);
    record_usage(&run.before, &run.after);
    uint64_t counted = options->counted < run.inferences ? options->counted : run.inferences;
    if (counted) {
        count(&run.session, counted);
    }
}

/* --- profile ------------------------------------------------------------------------------------------- */

static void record_op(uint32_t index, const char *kind, const char *name, uint64_t ns, uint64_t executions) {
    record_key("op");
    record_number(index);
    record_text(kind, strlen(kind));
    record_text(name, strlen(name));
    record_number(ns);
    record_number(executions);
    record_end_line();
}

void mode_profile(const backend *runtime, const run_options *options) {
    session opened;
    load_options load = options->load;
    load.profile = 1;
    session_open(&opened, runtime, &load, options->input);
    session_record(&opened);
    uint64_t began = clock_raw(), inferences = 0;
    do {
        timing taken = session_infer(&opened, inferences);
        if (inferences++ == 0) {
            record_number_line("first_ns", taken.wall_ns);
        }
    } while (inferences < options->most &&
             (inferences < options->least || clock_raw() - began < options->seconds_ns));
    record_number_line("inferences", inferences);
    runtime->ops(opened.loaded, record_op);
}

/* --- compare ------------------------------------------------------------------------------------------- */

/* Times are of the inferences alone, without what feeds them. */
static void block(session *opened, uint64_t which, uint64_t block_ns) {
    uint64_t began = clock_raw();
    uint64_t values[4] = {which, 0, 0, 0};
    do {
        timing taken = session_infer(opened, values[1]++);
        values[2] += taken.wall_ns;
        values[3] += taken.cpu_ns;
    } while (clock_raw() - began < block_ns);
    record_numbers("block", values, 4);
}

/* A B, B A, A B ...: what drifts slowly meets both alike. */
void mode_compare(const backend *runtime, const run_options *options) {
    struct rusage before, after;
    session opened[2];
    load_options other = options->load;
    other.model = options->other;
    if (!options->other) {
        FAIL(FAIL_INPUT, "compare needs other=MODEL and other_input=FILE");
    }
    session_open(&opened[0], runtime, &options->load, options->input);
    session_open(&opened[1], runtime, &other, options->other_input);
    session_record(&opened[0]);
    getrusage(RUSAGE_SELF, &before);
    for (uint64_t pair = 0; pair < options->pairs; pair++) {
        uint64_t first = (options->first + pair) % 2;
        block(&opened[first], first, options->block_ns);
        block(&opened[1 - first], 1 - first, options->block_ns);
    }
    getrusage(RUSAGE_SELF, &after);
    record_memory(0);
    record_usage(&before, &after);
}
