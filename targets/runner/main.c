/* main.c - edge-runner: a model's inferences on this machine, measured and told as a record (record.h).
 *
 *   edge-runner RUNTIME run MODEL input=FILE output=FILE
 *   edge-runner RUNTIME time MODEL input=FILE [output=FILE] seconds=S least=N most=N [every=N]
 *               [counted=N] [watch=PATH]... [watch_ms=N]
 *   edge-runner RUNTIME profile MODEL input=FILE seconds=S most=N [scratch=PATH]
 *   edge-runner RUNTIME compare MODEL input=FILE other=MODEL other_input=FILE pairs=N block_us=N first=0|1
 *   edge-runner clock
 *   edge-runner hash FILE...
 *
 * RUNTIME: litert, onnxruntime (with library=PATH), or c, whose MODEL is -. All take threads=N and cpus=0,1.
 * A process loads each model once; the first inference is a cold one. output= of time holds the outputs of
 * the first inference of each sample; every=N: the first of N inferences in a row is told, all of them count.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "clock.h"
#include "fail.h"
#include "modes.h"
#include "record.h"
#include "sha256.h"

static const backend *const backends[] = {
#ifdef TK_MODEL
    &generated_backend,
#else
    &litert_backend,
    &onnxruntime_backend,
#endif
};

static const struct {
    const char *word;
    mode *run;
} modes[] = {{"run", mode_run}, {"time", mode_time}, {"profile", mode_profile}, {"compare", mode_compare}};

static const backend *find_backend(const char *word) {
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
        if (!strcmp(backends[i]->word, word)) {
            return backends[i];
        }
    }
    FAIL(FAIL_INPUT, "no runtime ", word, " in this runner");
}

static mode *find_mode(const char *word) {
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!strcmp(modes[i].word, word)) {
            return modes[i].run;
        }
    }
    FAIL(FAIL_INPUT, "no mode ", word);
}

/* Threads that start later have it too. */
static void set_affinity(uint64_t cpus) {
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (unsigned i = 0; i < 64; i++) {
        if (cpus >> i & 1) {
            CPU_SET(i, &wanted);
        }
    }
    if (cpus && sched_setaffinity(0, sizeof wanted, &wanted)) {
        FAIL(FAIL_INPUT, "cpus=: ", strerror(errno));
    }
}

static void hash(char *const *paths) {
    char digest[SHA256_TEXT];
    for (uint64_t i = 0; paths[i]; i++) {
        int failure = sha256_file(paths[i], digest);
        if (failure) {
            FAIL(FAIL_INPUT, paths[i], ": ", strerror(failure));
        }
        record_key("sha256");
        record_number(i);
        record_word(digest);
        record_end_line();
    }
}

static void measure(char **argv) {
    run_options options;
    const backend *runtime = find_backend(argv[1]);
    mode *run = find_mode(argv[2]);
    options_read(&options, argv + 4);
    options.load.model = argv[3];
    set_affinity(options.cpus);
    run(runtime, &options);
}

int main(int argc, char **argv) {
    record_open();
    record_key("edge-runner 1");
    record_end_line();
    if (argc == 2 && !strcmp(argv[1], "clock")) {
        uint64_t now = clock_raw();
        record_numbers("clock", &now, 1);
    } else if (argc > 2 && !strcmp(argv[1], "hash")) {
        hash(argv + 2);
    } else if (argc > 3) {
        measure(argv);
    } else {
        FAIL(FAIL_INPUT, "RUNTIME MODE MODEL key=value..., or clock, or hash FILE...");
    }
    record_close();
    return 0;
}
