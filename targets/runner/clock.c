#include "clock.h"

#include <time.h>

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_raw(void) {
    return nanoseconds(CLOCK_MONOTONIC_RAW);
}

uint64_t clock_cpu(void) {
    return nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
}
