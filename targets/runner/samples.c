#include "samples.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "memory.h"

void samples_open(samples *input, const char *path, size_t bytes) {
    struct stat found;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 || fstat(file, &found)) {
        FAIL(FAIL_INPUT, path, ": ", strerror(errno));
    }
    uint64_t size = (uint64_t)found.st_size;
    if (!S_ISREG(found.st_mode) || !size || size % bytes) {
        FAIL(FAIL_INPUT, path, ": ", decimal(size), " bytes, not a number of samples of ", decimal(bytes),
             " bytes each");
    }
    *input = (samples){path, file, bytes, size / bytes, memory_take(bytes)};
}

const uint8_t *samples_read(samples *input, uint64_t index) {
    uint64_t start = index * input->bytes;
    for (size_t done = 0; done < input->bytes;) {
        ssize_t count = pread(input->file, input->sample + done, input->bytes - done, (off_t)(start + done));
        if (count == 0 || (count < 0 && errno != EINTR)) {
            FAIL(FAIL_INPUT, input->path, ": ", count ? strerror(errno) : "was cut while it was read");
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return input->sample;
}

void results_open(results *output, const char *path, size_t bytes) {
    static const char suffix[] = ".unfinished";
    *output = (results){path, NULL, -1, bytes, memory_take(bytes)};
    if (!path) {
        return;
    }
    output->unfinished = memory_take(strlen(path) + sizeof suffix);
    strcpy(output->unfinished, path);
    strcat(output->unfinished, suffix);
    output->file = open(output->unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (output->file < 0) {
        FAIL(FAIL_INPUT, output->unfinished, ": ", strerror(errno));
    }
}

void results_write(results *output) {
    for (size_t done = 0; output->path && done < output->bytes;) {
        ssize_t count = write(output->file, output->sample + done, output->bytes - done);
        if (count < 0 && errno != EINTR) {
            FAIL(FAIL_INPUT, output->path, ": ", strerror(errno));
        }
        done += count > 0 ? (size_t)count : 0;
    }
}

void results_close(results *output) {
    if (output->path && (close(output->file) || rename(output->unfinished, output->path))) {
        FAIL(FAIL_INPUT, output->path, ": ", strerror(errno));
    }
}
