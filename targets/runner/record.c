#include "record.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"

static int out = -1;
static char buffer[8192];
static size_t used;

void record_open(void) {
    out = dup(STDOUT_FILENO);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        FAIL(FAIL_INPUT, "standard output or standard error is closed");
    }
}

static void flush(void) {
    for (size_t done = 0; done < used;) {
        ssize_t count = write(out, buffer + done, used - done);
        if (count < 0 && errno != EINTR) {
            FAIL(FAIL_INPUT, "cannot write the record: ", strerror(errno));
        }
        done += count > 0 ? (size_t)count : 0;
    }
    used = 0;
}

static void put(const char *bytes, size_t length) {
    while (length) {
        if (used == sizeof buffer) {
            flush();
        }
        size_t part = sizeof buffer - used < length ? sizeof buffer - used : length;
        memcpy(buffer + used, bytes, part);
        used += part;
        bytes += part;
        length -= part;
    }
}

void record_key(const char *key) {
    put(key, strlen(key));
}

void record_word(const char *word) {
    put(" ", 1);
    put(word, strlen(word));
}

void record_text(const char *text, size_t length) {
    static const char digits[] = "0123456789ABCDEF";
    put(length ? " " : " %", length ? 1 : 2);
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        const char escaped[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        int plain = byte > ' ' && byte < 0x7f && byte != '%' && byte != '!';
        put(plain ? text + i : escaped, plain ? 1 : 3);
    }
}

void record_number(uint64_t value) {
    record_word(decimal(value));
}

void record_numbers(const char *key, const uint64_t *values, size_t count) {
    record_key(key);
    for (size_t i = 0; i < count; i++) {
        record_number(values[i]);
    }
    record_end_line();
}

void record_end_line(void) {
    put("\n", 1);
}

void record_close(void) {
    record_key("end");
    record_end_line();
    flush();
}
