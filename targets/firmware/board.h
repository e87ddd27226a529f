/* board.h - what main.c needs of a board. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* Serial line, 8 bits, no parity; both block. */
void board_init(void);
uint8_t board_read(void);
void board_write(uint8_t byte);

/* Two readings of the board's clocks around something that runs.
 * ticks       of the fast counter, modulo 2^32
 * hundredths  of a second, by the slow one: tells how often the fast counter wrapped
 */
typedef struct {
    uint32_t ticks;
    uint32_t hundredths;
} board_span;

typedef void board_invoke(const void *const inputs[], void *const outputs[], void *arena);

/* Runs invoke between two readings. */
board_span board_time(board_invoke *invoke, const void *const inputs[], void *const outputs[], void *arena);

#endif
