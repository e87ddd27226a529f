/* memory.h - memory to be had, and how much the process had at most. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* Zeros, aligned to 64; never NULL: without memory the process ends (fail.h). */
void *memory_take(size_t bytes);

/* VmHWM of /proc/self/status in kB; 0 where there is none. Kernels before 6.2 count a thread's last page
 * faults late, 64 at most, which of a small process is most of it (mm/memory.c, SPLIT_RSS_COUNTING).
 */
unsigned long memory_peak_kb(void);

/* Resident now by the page tables, in kB: Rss of /proc/self/smaps_rollup; 0 before Linux 4.14. */
unsigned long memory_now_kb(void);

#endif
