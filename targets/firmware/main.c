/* main.c - a model on a serial line, by the protocol of MLCommons' MLPerf Tiny.
 *
 * The host sends commands: words with one space between, ended by '%', at most 80 characters. The device
 * answers with lines that end with "\r\n", the last of them "m-ready". "e-[...]" says what is wrong.
 *
 *   name             m-name-dut-[VENDOR]
 *   profile          m-profile-[...], m-model-[NAME]
 *   timestamp        m-lap-us-N: microseconds since the start, 64 bits. For energy (TK_ENERGY), a pulse
 *   db load N        m-[Expecting N bytes]
 *   db HEX           m-load-done once all are there
 *   db print         m-buffer-xx-xx..., eight bytes a line
 *   infer N W        W inferences, then N between two timestamps, then results; N is 1, W 10 where left out
 *   results          m-results-[0.123,...]: the first output's reals; of an autoencoder one, how far off it is
 *
 * Of our own, by the same grammar:
 *
 *   db codes N       as load, for codes whatever the model takes
 *   db raw N         the next N bytes of what was announced, as they are, come behind the '%'
 *   db crc           m-crc-XXXXXXXX: CRC-32 (IEEE 802.3) of what is loaded
 *   model            m-digest-[...], m-arena-N, m-hz-N, m-input-N and m-output-N for each: bytes
 *   count            one inference with its inputs in the arena: m-ticks-N, m-empty-N, m-stack-N
 *   layers           the same step by step, m-empty-N, m-layer-N-[TITLE] for each. Built with TK_LAYERS
 *   output I         m-output-xx-xx..., m-crc-XXXXXXXX
 */
#include "board.h"
#include "db.h"
#include "infer.h"
#include "inspect.h"
#include "line.h"
#include "program.h"
#include "text.h"
#include "timestamp.h"

uint8_t arena[TK_ARENA_BYTES] __attribute__((aligned(16), section(".arena")));

void program_outputs(void *outputs[TK_PORTS]) {
    for (uint32_t i = 0; i < TK_MODEL.output_count; i++) {
        outputs[i] = arena + TK_MODEL.output_offset[i];
    }
}

static void name(char *rest) {
    (void)rest;
    text_line("m-name-dut-[" TK_VENDOR "]");
}

static void profile(char *rest) {
    (void)rest;
    text_line("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
    text_line("m-model-[" TK_NAME "]");
}

static const struct {
    const char *word;
    void (*run)(char *rest);
} commands[] = {
    {"name", name},           {"profile", profile},         {"timestamp", timestamp},
    {"db", db_command},       {"infer", infer},             {"results", infer_results},
    {"model", inspect_model}, {"count", inspect_count},     {"output", inspect_output},
#ifdef TK_LAYERS
    {"layers", inspect_layers},
#endif
};

static void answer(char *rest) {
    const char *word = line_word(&rest);
    for (uint32_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (line_equal(word, commands[i].word)) {
            commands[i].run(rest);
            return;
        }
    }
    text_put("e-[Unknown command: ");
    text_put(word);
    text_line("]");
}

/* Faults end here: say so, then stand still. */
void fault(void);
void fault(void) {
    text_error("Fault");
    for (;;) {
    }
}

int main(void) {
    board_init();
    timestamp_start();
    text_line("m-init-done");
    for (;;) {
        text_line("m-ready");
        char *line = line_read();
        if (line) {
            answer(line);
        } else {
            text_error("More than 80 characters");
        }
    }
}
