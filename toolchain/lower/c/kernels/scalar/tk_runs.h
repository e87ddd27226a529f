/* tk_runs.h - values in several pieces: `count` runs of `length` bytes whose starts are `pitch` apart. */
#ifndef TK_RUNS_H
#define TK_RUNS_H

#include <stdint.h>

typedef struct {
    int32_t count;
    int32_t length;
    int32_t pitch;
} tk_runs;

#endif
