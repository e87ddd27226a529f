/* line.h - commands from the serial line: words with spaces between, ended by '%'. */
#ifndef LINE_H
#define LINE_H

#include <stdint.h>

#define LINE_MOST 80u
#define LINE_NO_NUMBER 0xFFFFFFFFu

/* Waits for a command and returns it, or null where it was longer than LINE_MOST characters.
 *
 * Control characters are dropped, so that a person may press return; bytes that are not ASCII become '?'.
 */
char *line_read(void);

/* The next word, "" behind the last; *rest moves behind it. */
char *line_word(char **rest);

/* Of one to nine decimal digits; else LINE_NO_NUMBER. */
uint32_t line_number(const char *word);

/* 0 to 15, or 16 where it is no hexadecimal digit. */
uint32_t line_digit(char character);

int32_t line_equal(const char *word, const char *other);

#endif
