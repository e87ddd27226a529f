#include "memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"

enum { ALIGNMENT = 64 };

void *memory_take(size_t bytes) {
    void *taken = NULL;
    if (posix_memalign(&taken, ALIGNMENT, bytes)) {
        FAIL(FAIL_MEMORY, "no memory for ", decimal(bytes), " bytes");
    }
    return memset(taken, 0, bytes);
}

/* The number behind a line's key. */
static unsigned long number_of(const char *path, const char *key) {
    char text[4096] = "\n";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t length = read(file, text + 1, sizeof text - 2);
    close(file);
    text[length > 0 ? length + 1 : 1] = '\0';
    const char *line = strstr(text, key);
    return line ? strtoul(line + strlen(key), NULL, 10) : 0;
}

unsigned long memory_peak_kb(void) {
    return number_of("/proc/self/status", "\nVmHWM:");
}

unsigned long memory_now_kb(void) {
    return number_of("/proc/self/smaps_rollup", "\nRss:");
}
