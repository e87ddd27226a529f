#include "fail.h"

#include <string.h>
#include <unistd.h>

enum { MOST = 400 };

const char *decimal(unsigned long long value) {
    static char texts[4][24];
    static unsigned turn;
    char *digit = texts[turn++ % 4] + sizeof texts[0] - 1;
    *digit = '\0';
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return digit;
}

void fail(int code, const char *const pieces[]) {
    char line[MOST + 2] = "edge-runner: ";
    size_t length = strlen(line);
    for (; *pieces; pieces++) {
        for (const char *c = *pieces; *c && length < MOST; c++) {
            line[length++] = (unsigned char)*c < ' ' || *c == 0x7f ? ' ' : *c;
        }
    }
    line[length++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written; /* nobody is left to be told */
    _exit(code);
}
