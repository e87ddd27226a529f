/* trials_main.c - many models, each with an input whose outputs are known: what differs is said on the line.
 *
 *   took TRIAL TICKS      by the board's clock, less those of a call that returns at once
 *   wrong TRIAL OUTPUT    an output that is not as expected
 *   done COUNT            all were tried
 */
#include <string.h>

#include "board.h"
#include "count.h"
#include "trials.h"

static uint8_t arena[TK_ARENA_BYTES] __attribute__((aligned(16), section(".arena")));

static void write_text(const char *text) {
    while (*text) {
        board_put((uint8_t)*text++);
    }
}

static void write_number(uint32_t value) {
    char digits[12];
    char *digit = digits + sizeof digits - 1;
    *digit = 0;
    do {
        *--digit = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    *--digit = ' ';
    write_text(digit);
}

static void write_line(const char *word, uint32_t first, uint32_t second) {
    write_text(word);
    write_number(first);
    write_number(second);
    write_text("\n");
}

static void try_one(uint32_t number, const trial *t) {
    const void *inputs[TRIAL_PORTS];
    void *outputs[TRIAL_PORTS];
    memset(arena, 0xA5, sizeof arena);
    for (uint32_t i = 0; i < t->model->input_count; i++) {
        inputs[i] = memcpy(arena + t->model->input_offset[i], t->inputs[i], t->model->input_bytes[i]);
    }
    for (uint32_t i = 0; i < t->model->output_count; i++) {
        outputs[i] = arena + t->model->output_offset[i];
    }
    uint64_t nothing = count_ticks(count_nothing, inputs, outputs, arena);
    uint64_t ticks = count_ticks(t->model->invoke, inputs, outputs, arena);
    write_line("took", number, (uint32_t)(ticks - nothing));
    for (uint32_t i = 0; i < t->model->output_count; i++) {
        if (memcmp(outputs[i], t->outputs[i], t->model->output_bytes[i])) {
            write_line("wrong", number, i);
        }
    }
}

void fault(void);
void fault(void) {
    write_text("fault\n");
    for (;;) {
    }
}

int main(void) {
    board_init();
    for (uint32_t i = 0; i < TRIALS; i++) {
        try_one(i, &trials[i]);
    }
    write_text("done");
    write_number(TRIALS);
    write_text("\n");
    for (;;) {
    }
}
