/* clock.h - the two clocks of the record, in nanoseconds. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

uint64_t clock_raw(void); /* CLOCK_MONOTONIC_RAW: not slewed by NTP */
uint64_t clock_cpu(void); /* CPU time of the process with all its threads */

#endif
