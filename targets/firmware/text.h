/* text.h - text to the serial line. A line ends with "\r\n". */
#ifndef TEXT_H
#define TEXT_H

#include <stdint.h>

void text_put(const char *text);

/* A line of its own: the text; the text and a number; "e-[TEXT]". */
void text_line(const char *text);
void text_number_line(const char *text, uint64_t value);
void text_error(const char *text);

/* "m-crc-XXXXXXXX": CRC-32 (IEEE 802.3) of the bytes. */
void text_crc(const uint8_t *bytes, uint32_t count);

/* The bytes, each xored with flip, in hexadecimal, eight a line: "m-buffer-00-01-02". */
void text_bytes(const char *text, const uint8_t *bytes, uint32_t count, uint8_t flip);

void text_put_number(uint64_t value);

/* fixed * 2^-32, below 2^22, to three decimals, rounded half to even as printf does. */
void text_put_thousandths(uint64_t fixed);

/* *value /= by; returns the remainder. by: 1 to 2^31. Bit by bit: small, and no 64-bit division of libgcc. */
uint32_t text_divide(uint64_t *value, uint32_t by);

#endif
