/* memory.h - memory to be had, and how much the process had at most. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* Zeros, aligned to 64; never NULL: without memory the process ends (fail.h). */
void *memory_take(size_t bytes);

/* VmHWM of /proc/self/status in kB; 0 where there is none. */
unsigned long memory_peak_kb(void);

#endif
