/* fail.h - the one way to give up: a line on stderr, and an exit code that says whose fault it is. */
#ifndef FAIL_H
#define FAIL_H

enum {
    FAIL_INPUT = 2,  /* an argument, or a file of samples */
    FAIL_MODEL = 3,  /* the runtime does not take the model */
    FAIL_MEMORY = 4, /* no memory */
    FAIL_LIBRARY = 5 /* the runtime's library cannot be loaded, or is another release */
};

/* "edge-runner: " and the pieces, up to a NULL; control characters become spaces, 400 bytes at most. */
__attribute__((noreturn)) void fail(int code, const char *const pieces[]);
#define FAIL(code, ...) fail(code, (const char *const[]){__VA_ARGS__, (const char *)0})

/* The text of `value`, in a buffer that four calls share in turn. */
const char *decimal(unsigned long long value);

#endif
