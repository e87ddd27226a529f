/* options.h - the command line.
 *
 *   edge-runner RUNTIME MODE MODEL key=value...
 *   edge-runner clock
 *   edge-runner hash FILE...
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdint.h>

#include "backend.h"
#include "watch.h"

typedef struct {
    load_options load;
    const char *input, *output, *other, *other_input;
    const char *watch[WATCH_PATHS + 1];
    uint64_t cpus;       /* a bit each; 0: as they are */
    uint64_t seconds_ns; /* seconds= may have a fraction */
    uint64_t least, most, every, counted, watch_ns, pairs, block_ns, first;
} run_options;

/* Of argv[4] and on: "key=value". Fails for what it does not know, and numbers out of range. */
void options_read(run_options *options, char *const *words);

#endif
