#include "perf.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int counters[PERF_COUNTERS] = {-1, -1};

static int open_counter(uint64_t config) {
    struct perf_event_attr wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.size = sizeof wanted;
    wanted.type = PERF_TYPE_HARDWARE;
    wanted.config = config;
    wanted.disabled = 1;
    wanted.inherit = 1;
    wanted.exclude_kernel = 1; /* all that perf_event_paranoid 2 allows */
    wanted.exclude_hv = 1;
    wanted.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    return (int)syscall(SYS_perf_event_open, &wanted, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void perf_open(void) {
    counters[PERF_INSTRUCTIONS] = open_counter(PERF_COUNT_HW_INSTRUCTIONS);
    counters[PERF_CYCLES] = open_counter(PERF_COUNT_HW_CPU_CYCLES);
}

/* Instructions are the inner pair: what it takes to start and stop the others is not in them. */
void perf_start(void) {
    for (int i = PERF_COUNTERS - 1; i >= 0; i--) {
        if (counters[i] >= 0) {
            ioctl(counters[i], PERF_EVENT_IOC_ENABLE, 0);
        }
    }
}

void perf_stop(void) {
    for (int i = 0; i < PERF_COUNTERS; i++) {
        if (counters[i] >= 0) {
            ioctl(counters[i], PERF_EVENT_IOC_DISABLE, 0);
        }
    }
}

int perf_read(int counter, uint64_t *value) {
    uint64_t got[3]; /* value, time enabled, time running */
    if (counters[counter] < 0 || read(counters[counter], got, sizeof got) != (ssize_t)sizeof got) {
        return 0;
    }
    *value = got[0];
    return got[2] && got[1] == got[2];
}
