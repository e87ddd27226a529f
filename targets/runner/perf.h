/* perf.h - instructions and cycles in user space of this process and its threads, by perf_event_open. */
#ifndef PERF_H
#define PERF_H

#include <stdint.h>

enum { PERF_INSTRUCTIONS, PERF_CYCLES, PERF_COUNTERS };

/* Opens the counters, stopped. Before any thread starts: those that come after are counted too. */
void perf_open(void);

void perf_start(void);
void perf_stop(void);

/* Counted so far, 1; or 0 where the kernel gives no such counter or shared it among others in time. */
int perf_read(int counter, uint64_t *value);

#endif
