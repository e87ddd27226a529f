/* record.h - what is measured, as lines "key value..." on the standard output.
 *
 * Words are separated by one space, lines end with LF. What may hold anything (names, values of watched
 * files) is percent-encoded: bytes outside 0x21-0x7e, '%' and '!' are %XX; a lone '%' is an empty text.
 */
#ifndef RECORD_H
#define RECORD_H

#include <stddef.h>
#include <stdint.h>

/* Keeps the standard output for the record: what a runtime's library prints there goes to stderr. */
void record_open(void);

void record_key(const char *key);                  /* begins a line */
void record_word(const char *word);                /* as it is */
void record_text(const char *text, size_t length); /* percent-encoded */
void record_number(uint64_t value);
void record_numbers(const char *key, const uint64_t *values, size_t count); /* a whole line */
void record_end_line(void);

/* "end", and everything written. */
void record_close(void);

#endif
