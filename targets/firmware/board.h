/* board.h - what the firmware needs of a board: a serial line and a clock.
 *
 * A target brings board.c, which defines these, and link.ld, which names its memory.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Bits a second of the serial line; 8 data bits, no parity, one stop bit. */
#ifndef BOARD_BAUD
#ifdef TK_ENERGY
#define BOARD_BAUD 9600u
#else
#define BOARD_BAUD 115200u
#endif
#endif

/* Prepares the serial line and the clock. Called once, before anything else. */
void board_init(void);

/* The next byte from the serial line; waits for it. */
uint8_t board_get(void);

/* Sends a byte once there is room for it. */
void board_put(uint8_t byte);

/* Ticks since board_init. It does not wrap as long as the time between two readings stays below what board.c
 * says. The same instructions every time (no branch on what the counter shows), so that what lies between two
 * readings can be counted exactly.
 */
uint64_t board_ticks(void);

/* Ticks a second. */
extern const uint32_t board_hz;

/* Drives the pin that an energy meter watches: 0 or 1. Only asked for where the energy of MLPerf Tiny is to be
 * measured (built with -DTK_ENERGY).
 */
void board_pin(uint32_t level);

#endif
