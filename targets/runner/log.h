/* log.h - memory that what is logged during a run goes to: as much as is used is there, and no more.
 *
 * So that the peak memory that is reported is the model's and the runtime's, a log says how much of it is
 * its own.
 */
#ifndef LOG_H
#define LOG_H

#include <stddef.h>

typedef struct {
    char *bytes;
    size_t room, used;
} log_memory;

void log_open(log_memory *log, size_t room); /* address space only */
void *log_take(log_memory *log, size_t size); /* NULL where it is full */

/* Resident kB of all logs. */
unsigned long log_kb(void);

#endif
