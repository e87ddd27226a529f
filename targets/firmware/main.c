/* main.c - a model on a serial line.
 *
 * The host sends one command a line, ASCII, ended by '\n'. The answer is one line, beginning with "ok" or
 * "error". Numbers are decimal, checksums CRC-32 (IEEE 802.3) in eight hexadecimal digits.
 *
 *   hello WORD       ok hello WORD
 *   model            ok model DIGEST ARENA_BYTES INPUTS BYTES ... OUTPUTS BYTES ... NAME
 *   input I CRC      then the input's bytes as they are; ok input I
 *   infer            ok infer TICKS EMPTY_TICKS STACK_BYTES
 *   output I         ok output I BYTES CRC, then the output's bytes as they are
 *
 * Inputs and outputs lie at their places in the arena, so an inference overwrites the inputs.
 * infer: TICKS of the inference, EMPTY_TICKS of a function that returns at once (count.h); STACK_BYTES: what
 * the inference took of the stack.
 */
#include <stdint.h>
#include <string.h>

#include "board.h"
#include "count.h"
#include "tk_model.h"

extern const tk_model TK_MODEL;
extern uint32_t link_stack_bottom, link_stack_top;

#define LINE_BYTES 80
#define MOST_PORTS 16
#define PAINT 0xA5A5A5A5u

static uint8_t arena[TK_ARENA_BYTES] __attribute__((aligned(16), section(".arena")));
static char line[LINE_BYTES];

static void write_text(const char *text) {
    while (*text) {
        board_put((uint8_t)*text++);
    }
}

static void write_number(uint64_t value) {
    char digits[21];
    char *digit = digits + sizeof digits - 1;
    *digit = 0;
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    board_put(' ');
    write_text(digit);
}

static void write_hex(uint32_t value) {
    board_put(' ');
    for (int32_t shift = 28; shift >= 0; shift -= 4) {
        board_put((uint8_t)"0123456789abcdef"[(value >> shift) & 15]);
    }
}

static void write_error(const char *text) {
    write_text("error ");
    write_text(text);
    board_put('\n');
}

/* Into `line`, without its end; what is too long is cut. */
static void read_line(void) {
    uint32_t length = 0;
    for (uint8_t byte = board_get(); byte != '\n'; byte = board_get()) {
        if (length < LINE_BYTES - 1) {
            line[length++] = (char)byte;
        }
    }
    line[length] = 0;
}

/* What follows `word` and a space in `text`; null where it is another word. */
static const char *after(const char *text, const char *word) {
    while (*word && *text == *word) {
        text++;
        word++;
    }
    return *word || (*text && *text != ' ') ? 0 : *text ? text + 1 : text;
}

static uint32_t crc32(const uint8_t *bytes, uint32_t count) {
    uint32_t crc = 0xFFFFFFFFu;
    for (uint32_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (uint32_t bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
        }
    }
    return ~crc;
}

static uint32_t read_number(const char **text) {
    uint32_t value = 0;
    while (**text >= '0' && **text <= '9') {
        value = value * 10 + (uint32_t)(*(*text)++ - '0');
    }
    return value;
}

static uint32_t read_hex(const char *text) {
    uint32_t value = 0;
    for (; *text; text++) {
        value = value << 4 | (uint32_t)(*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
    }
    return value;
}

static void write_sizes(uint32_t count, const uint32_t *bytes) {
    write_number(count);
    for (uint32_t i = 0; i < count; i++) {
        write_number(bytes[i]);
    }
}

static void do_model(void) {
    write_text("ok model ");
    write_text(TK_MODEL.digest);
    write_number(TK_MODEL.arena_bytes);
    write_sizes(TK_MODEL.input_count, TK_MODEL.input_bytes);
    write_sizes(TK_MODEL.output_count, TK_MODEL.output_bytes);
    board_put(' ');
    write_text(TK_MODEL.name);
    board_put('\n');
}

static void do_input(const char *text) {
    uint32_t i = read_number(&text);
    if (i >= TK_MODEL.input_count || *text != ' ') {
        write_error("no such input");
        return;
    }
    uint8_t *place = arena + TK_MODEL.input_offset[i];
    for (uint32_t k = 0; k < TK_MODEL.input_bytes[i]; k++) {
        place[k] = board_get();
    }
    if (crc32(place, TK_MODEL.input_bytes[i]) != read_hex(text + 1)) {
        write_error("input: bytes do not match their checksum");
        return;
    }
    write_text("ok input");
    write_number(i);
    board_put('\n');
}

static void do_output(const char *text) {
    uint32_t i = read_number(&text);
    if (i >= TK_MODEL.output_count || *text) {
        write_error("no such output");
        return;
    }
    const uint8_t *place = arena + TK_MODEL.output_offset[i];
    write_text("ok output");
    write_number(i);
    write_number(TK_MODEL.output_bytes[i]);
    write_hex(crc32(place, TK_MODEL.output_bytes[i]));
    board_put('\n');
    for (uint32_t k = 0; k < TK_MODEL.output_bytes[i]; k++) {
        board_put(place[k]);
    }
}

/* Writes PAINT to all of the stack that is free now; returns where that ends. */
__attribute__((noinline)) static uint32_t *paint_stack(void) {
    uint32_t *top = __builtin_frame_address(0);
    for (volatile uint32_t *word = &link_stack_bottom; word < top; word++) {
        *word = PAINT;
    }
    return top;
}

static uint32_t stack_used(const uint32_t *top) {
    const volatile uint32_t *word = &link_stack_bottom;
    while (word < top && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uintptr_t)top - (uintptr_t)word);
}

static void do_infer(void) {
    const void *inputs[MOST_PORTS];
    void *outputs[MOST_PORTS];
    if (TK_MODEL.input_count > MOST_PORTS || TK_MODEL.output_count > MOST_PORTS) {
        write_error("more inputs or outputs than this firmware takes");
        return;
    }
    for (uint32_t i = 0; i < TK_MODEL.input_count; i++) {
        inputs[i] = arena + TK_MODEL.input_offset[i];
    }
    for (uint32_t i = 0; i < TK_MODEL.output_count; i++) {
        outputs[i] = arena + TK_MODEL.output_offset[i];
    }
    uint64_t empty_ticks = count_ticks(count_nothing, inputs, outputs, arena);
    uint32_t *top = paint_stack();
    uint64_t ticks = count_ticks(TK_MODEL.invoke, inputs, outputs, arena);
    uint32_t stack_bytes = stack_used(top);
    if (link_stack_bottom != PAINT) {
        write_error("the stack overflowed");
        return;
    }
    write_text("ok infer");
    write_number(ticks);
    write_number(empty_ticks);
    write_number(stack_bytes);
    board_put('\n');
}

static void do_line(void) {
    const char *rest;
    if ((rest = after(line, "hello"))) {
        write_text("ok hello ");
        write_text(rest);
        board_put('\n');
    } else if (after(line, "model")) {
        do_model();
    } else if ((rest = after(line, "input"))) {
        do_input(rest);
    } else if (after(line, "infer")) {
        do_infer();
    } else if ((rest = after(line, "output"))) {
        do_output(rest);
    } else {
        write_error("unknown command");
    }
}

/* Faults end here: say so once, then stand still. */
void fault(void);
void fault(void) {
    write_error("fault");
    for (;;) {
    }
}

int main(void) {
    board_init();
    for (;;) {
        read_line();
        do_line();
    }
}
