#include "text.h"

#include "board.h"

static void end_line(void) {
    text_put("\r\n");
}

void text_put(const char *text) {
    while (*text) {
        board_put((uint8_t)*text++);
    }
}

void text_line(const char *text) {
    text_put(text);
    end_line();
}

void text_number_line(const char *text, uint64_t value) {
    text_put(text);
    text_put_number(value);
    end_line();
}

void text_error(const char *text) {
    text_put("e-[");
    text_put(text);
    text_line("]");
}

static void put_digit(uint32_t value) {
    board_put((uint8_t)(value < 10 ? '0' + value : 'a' - 10 + value));
}

static void put_byte(uint8_t value) {
    put_digit(value >> 4);
    put_digit(value & 15u);
}

void text_crc(const uint8_t *bytes, uint32_t count) {
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
        }
    }
    text_put("m-crc-");
    for (int32_t shift = 24; shift >= 0; shift -= 8) {
        put_byte((uint8_t)(~crc >> shift));
    }
    end_line();
}

void text_bytes(const char *text, const uint8_t *bytes, uint32_t count, uint8_t flip) {
    for (uint32_t i = 0; i < count; i++) {
        if (i % 8 == 0) {
            text_put(text);
        }
        board_put('-');
        put_byte(bytes[i] ^ flip);
        if (i % 8 == 7 || i + 1 == count) {
            end_line();
        }
    }
}

void text_put_number(uint64_t value) {
    char digits[21];
    char *digit = digits + sizeof digits - 1;
    *digit = 0;
    do {
        *--digit = (char)('0' + text_divide(&value, 10));
    } while (value);
    text_put(digit);
}

void text_put_thousandths(uint64_t fixed) {
    uint64_t whole = fixed * 1000u;
    uint32_t rest = (uint32_t)whole;
    whole >>= 32;
    whole += rest > 0x80000000u || (rest == 0x80000000u && (whole & 1));
    uint32_t thousandths = text_divide(&whole, 1000);
    text_put_number(whole);
    board_put('.');
    for (uint32_t unit = 100; unit; unit /= 10) {
        board_put((uint8_t)('0' + thousandths / unit % 10));
    }
}

uint32_t text_divide(uint64_t *value, uint32_t by) {
    uint32_t rest = 0;
    for (uint32_t bit = 0; bit < 64; bit++) {
        rest = rest << 1 | (uint32_t)(*value >> 63);
        *value <<= 1;
        if (rest >= by) {
            rest -= by;
            *value |= 1;
        }
    }
    return rest;
}
