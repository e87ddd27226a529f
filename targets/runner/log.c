#include "log.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fail.h"

enum { LOGS = 4 };
static const log_memory *opened[LOGS];
static int count;

void log_open(log_memory *log, size_t room) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (bytes == MAP_FAILED || count == LOGS) {
        FAIL(FAIL_MEMORY, "no memory for a log of ", decimal(room), " bytes; lower most=");
    }
    madvise(bytes, room, MADV_NOHUGEPAGE); /* a huge page would be resident as a whole */
    *log = (log_memory){bytes, room, 0};
    opened[count++] = log;
}

void *log_take(log_memory *log, size_t size) {
    if (size > log->room - log->used) {
        return NULL;
    }
    void *taken = log->bytes + log->used;
    log->used += size;
    return taken;
}

unsigned long log_kb(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 0;
    for (int i = 0; i < count; i++) {
        pages += (opened[i]->used + page - 1) / page;
    }
    return (unsigned long)(pages * (page / 1024));
}
