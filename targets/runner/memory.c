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

unsigned long memory_peak_kb(void) {
    static const char key[] = "\nVmHWM:";
    char status[4096];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t length = read(file, status, sizeof status - 1);
    close(file);
    status[length > 0 ? length : 0] = '\0';
    const char *line = strstr(status, key);
    return line ? strtoul(line + sizeof key - 1, NULL, 10) : 0;
}
