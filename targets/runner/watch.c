#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "record.h"

typedef struct {
    uint64_t time_ns;
    int32_t error; /* errno, or 0 */
    uint16_t index, length;
} reading; /* `length` bytes behind it, and up to 7 more */

enum { ROOM = 16 << 20 };

static log_memory readings;
static const char *watched[WATCH_PATHS + 1];
static uint64_t last_ns;

void watch_open(const char *const paths[]) {
    int count = 0;
    for (; paths[count]; count++) {
        watched[count] = paths[count];
    }
    if (count) {
        log_open(&readings, ROOM);
    }
}

/* Without the blanks at its end; -errno where it cannot be read. */
static ssize_t value_of(const char *path, char value[WATCH_BYTES]) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return -errno;
    }
    ssize_t length = read(file, value, WATCH_BYTES);
    int error = errno;
    close(file);
    while (length > 0 && strchr(" \n", value[length - 1])) {
        length--;
    }
    return length < 0 ? -error : length;
}

static void read_one(int index) {
    char value[WATCH_BYTES];
    ssize_t length = value_of(watched[index], value);
    size_t bytes = length > 0 ? (size_t)length : 0;
    reading *taken = log_take(&readings, sizeof *taken + (bytes + 7) / 8 * 8);
    if (!taken) {
        FAIL(FAIL_INPUT, "more was watched than ", decimal(ROOM), " bytes; raise watch_ms=");
    }
    *taken = (reading){clock_raw(), length < 0 ? (int32_t)-length : 0, (uint16_t)index, (uint16_t)bytes};
    memcpy(taken + 1, value, bytes);
}

void watch_read(uint64_t now_ns, uint64_t every_ns) {
    if (!watched[0] || (every_ns && now_ns - last_ns < every_ns)) {
        return;
    }
    last_ns = now_ns;
    for (int i = 0; watched[i]; i++) {
        read_one(i);
    }
}

void watch_record(void) {
    for (size_t at = 0; at < readings.used;) {
        const reading *taken = (const reading *)(const void *)(readings.bytes + at);
        const char *value = (const char *)(taken + 1);
        record_key("watch");
        record_number(taken->index);
        record_number(taken->time_ns);
        if (taken->error) {
            record_word("!");
            record_key(decimal((unsigned long long)taken->error));
        } else {
            record_text(value, taken->length);
        }
        record_end_line();
        at += sizeof *taken + (taken->length + 7u) / 8 * 8;
    }
}
