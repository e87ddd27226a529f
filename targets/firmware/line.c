#include "line.h"

#include "board.h"

static char line[LINE_MOST + 1];

char *line_read(void) {
    uint32_t length = 0;
    for (uint8_t byte = board_get(); byte != '%'; byte = board_get()) {
        if (byte < ' ') {
            continue;
        }
        if (length < LINE_MOST) {
            line[length] = byte > '~' ? '?' : (char)byte;
        }
        length++;
    }
    if (length > LINE_MOST) {
        return 0;
    }
    line[length] = 0;
    return line;
}

char *line_word(char **rest) {
    char *word = *rest;
    while (*word == ' ') {
        word++;
    }
    char *end = word;
    while (*end && *end != ' ') {
        end++;
    }
    *rest = *end ? end + 1 : end;
    *end = 0;
    return word;
}

uint32_t line_number(const char *word) {
    uint32_t value = 0, digits = 0;
    for (; *word >= '0' && *word <= '9' && digits < 9; word++, digits++) {
        value = value * 10 + (uint32_t)(*word - '0');
    }
    return digits && !*word ? value : LINE_NO_NUMBER;
}

uint32_t line_digit(char character) {
    uint32_t lower = (uint32_t)character | 32u;
    if (character >= '0' && character <= '9') {
        return (uint32_t)(character - '0');
    }
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10u : 16u;
}

int32_t line_equal(const char *word, const char *other) {
    while (*word && *word == *other) {
        word++;
        other++;
    }
    return *word == *other;
}
