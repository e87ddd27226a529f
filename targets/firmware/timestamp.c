#include "timestamp.h"

#include "board.h"
#include "text.h"

#define PULSES_A_SECOND 10000u

#ifdef TK_ENERGY

/* Low for 100 us: MLPerf Tiny asks for at least one. */
void timestamp(char *rest) {
    (void)rest;
    board_pin(0);
    for (uint64_t end = board_ticks() + board_hz / PULSES_A_SECOND; board_ticks() <= end;) {
    }
    board_pin(1);
}

#else

/* Seconds and the rest apart: ticks * 1,000,000 would wrap. */
void timestamp(char *rest) {
    (void)rest;
    uint64_t seconds = board_ticks();
    uint64_t part = text_divide(&seconds, board_hz) * 1000000ull;
    text_divide(&part, board_hz);
    text_number_line("m-lap-us-", seconds * 1000000u + part);
}

#endif

void timestamp_start(void) {
#ifdef TK_ENERGY
    text_line("m-timestamp-mode-energy");
#else
    text_line("m-timestamp-mode-performance");
#endif
    timestamp(0);
}
