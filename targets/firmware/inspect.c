#include "inspect.h"

#include "board.h"
#include "count.h"
#include "db.h"
#include "line.h"
#include "program.h"
#include "text.h"

#define PAINT 0xA5A5A5A5u
#ifdef __riscv
#define COPY "mv"
#else
#define COPY "mov"
#endif

extern uint32_t link_stack_bottom;

void inspect_model(char *rest) {
    (void)rest;
    text_put("m-digest-[");
    text_put(TK_MODEL.digest);
    text_line("]");
    text_number_line("m-arena-", TK_MODEL.arena_bytes);
    text_number_line("m-hz-", board_hz);
    for (uint32_t i = 0; i < TK_MODEL.input_count; i++) {
        text_number_line("m-input-", TK_MODEL.input_bytes[i]);
    }
    for (uint32_t i = 0; i < TK_MODEL.output_count; i++) {
        text_number_line("m-output-", TK_MODEL.output_bytes[i]);
    }
}

/* Writes PAINT to all of the stack that is free now; returns where that ends. */
__attribute__((noinline)) static uint32_t *paint_stack(void) {
    uint32_t *top;
    __asm__ volatile(COPY " %0, sp" : "=r"(top));
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

void inspect_count(char *rest) {
    (void)rest;
    const void *inputs[TK_PORTS];
    void *outputs[TK_PORTS];
    if (!db_inputs(inputs, 1)) {
        return;
    }
    program_outputs(outputs);
    uint64_t empty = count_ticks(count_nothing, inputs, outputs, arena);
    uint32_t *top = paint_stack();
    uint64_t ticks = count_ticks(TK_MODEL.invoke, inputs, outputs, PROGRAM_ARENAS);
    uint32_t stack = stack_used(top);
    db_used();
    if (link_stack_bottom != PAINT) {
        text_error("The stack overflowed");
        return;
    }
    text_number_line("m-ticks-", ticks);
    text_number_line("m-empty-", empty);
    text_number_line("m-stack-", stack);
}

#ifdef TK_LAYERS
extern const char *const TK_LAYER_NAMES[];

static uint64_t layer_start, layer_ticks;
static int32_t layer_told = -1; /* which one runs, where layers are told; -1: none yet */
static uint8_t telling;

/* The clock is read first and last, so that what is said between is not counted. */
void tk_layer(uint32_t step) {
    layer_ticks = board_ticks() - layer_start;
    if (telling && layer_told >= 0) {
        text_put("m-layer-");
        text_put_number(layer_ticks);
        text_put("-[");
        text_put(TK_LAYER_NAMES[layer_told]);
        text_line("]");
    }
    layer_told = (int32_t)step;
    layer_start = board_ticks();
}

void inspect_layers(char *rest) {
    (void)rest;
    const void *inputs[TK_PORTS];
    void *outputs[TK_PORTS];
    if (!db_inputs(inputs, 1)) {
        return;
    }
    program_outputs(outputs);
    tk_layer(0);
    tk_layer(0);
    text_number_line("m-empty-", layer_ticks);
    telling = 1;
    layer_told = -1;
    TK_MODEL.invoke(inputs, outputs, PROGRAM_ARENAS);
    telling = 0;
    db_used();
}
#endif

void inspect_output(char *rest) {
    uint32_t i = line_number(line_word(&rest));
    if (i >= TK_MODEL.output_count) {
        text_error("No such output");
        return;
    }
    const uint8_t *codes = arena + TK_MODEL.output_offset[i];
    text_bytes("m-output", codes, TK_MODEL.output_bytes[i], 0);
    text_crc(codes, TK_MODEL.output_bytes[i]);
}
