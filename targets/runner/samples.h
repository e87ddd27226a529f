/* samples.h - files of samples: one after another, a sample all inputs (or outputs) in the model's order,
 * each tight. Read a sample at a time, so that a large file is no part of the peak memory.
 */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *path;
    int file;
    size_t bytes; /* of a sample */
    uint64_t count;
    uint8_t *sample; /* the one last read */
} samples;

/* Fails unless it is a file of one sample or more, and of no part of one. */
void samples_open(samples *input, const char *path, size_t bytes);
const uint8_t *samples_read(samples *input, uint64_t index);

typedef struct {
    const char *path; /* NULL: nothing is written */
    char *unfinished;
    int file;
    size_t bytes;
    uint8_t *sample; /* to be filled, then written */
} results;

/* The file takes its name when all is written. */
void results_open(results *output, const char *path, size_t bytes);
void results_write(results *output);
void results_close(results *output);

#endif
