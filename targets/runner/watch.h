/* watch.h - small text files (sysfs) read while inferences run, between them. */
#ifndef WATCH_H
#define WATCH_H

#include <stdint.h>

enum { WATCH_PATHS = 16, WATCH_BYTES = 1000 };

/* Paths as long as this program runs, NULL after the last. */
void watch_open(const char *const paths[]);

/* Reads all, if it is time to: `every_ns` after the last. 0: at once. */
void watch_read(uint64_t now_ns, uint64_t every_ns);

/* "watch INDEX TIME_NS VALUE" or "... !ERRNO", of all that was read. */
void watch_record(void);

#endif
