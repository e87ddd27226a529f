#include "infer.h"

#include "board.h"
#include "db.h"
#include "line.h"
#include "program.h"
#include "real.h"
#include "text.h"
#include "timestamp.h"

/* The next word's number; `otherwise` where there is no word. */
static uint32_t number_or(char **rest, uint32_t otherwise) {
    const char *word = line_word(rest);
    return *word ? line_number(word) : otherwise;
}

static void repeat(uint32_t times, const void *const inputs[], void *const outputs[]) {
    while (times--) {
        TK_MODEL.invoke(inputs, outputs, PROGRAM_ARENAS);
    }
}

void infer(char *rest) {
    const void *inputs[TK_PORTS];
    void *outputs[TK_PORTS];
    uint32_t times = number_or(&rest, 1), warmups = number_or(&rest, 10);
    if (!times || times == LINE_NO_NUMBER || warmups == LINE_NO_NUMBER) {
        text_error("N >= 1, W >= 0");
        return;
    }
    if (!db_is_apart() && times + warmups > 1) {
        text_error("One at a time: no room to keep the input");
        return;
    }
    if (!db_inputs(inputs, 0)) {
        return;
    }
    program_outputs(outputs);
    text_number_line("m-warmup-start-", warmups);
    repeat(warmups, inputs, outputs);
    text_line("m-warmup-done");
    text_number_line("m-infer-start-", times);
    timestamp(0);
    repeat(times, inputs, outputs);
    timestamp(0);
    text_line("m-infer-done");
    infer_results(0);
    db_used();
}

static void put_real(int64_t fixed) {
    if (fixed < 0) {
        board_put('-');
        fixed = -fixed;
    }
    text_put_thousandths((uint64_t)fixed);
}

void infer_results(char *rest) {
    (void)rest;
    const TK_OUTPUT *codes = (const TK_OUTPUT *)(arena + TK_MODEL.output_offset[0]);
    uint32_t count = TK_MODEL.output_bytes[0] / sizeof *codes;
    text_put("m-results-[");
    if (TK_DB == DB_REALS) {
        text_put_thousandths(real_score((const int8_t *)codes, db_reals(), db_codes(), count));
    } else {
        for (uint32_t i = 0; i < count; i++) {
            if (i) {
                board_put(',');
            }
            put_real((codes[i] - (int64_t)TK_OUTPUT_ZERO_POINT) * REAL_FIXED(TK_OUTPUT_SCALE));
        }
    }
    text_line("]");
}
