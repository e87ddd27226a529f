/* board.c - BBC micro:bit (nRF51822, Cortex-M0), as QEMU's microbit has it.
 *
 * UART0 at 0x40002000 (nRF51 Reference Manual 3.0, chapter 29): tasks STARTRX 0x000, STARTTX 0x008; events
 * RXDRDY 0x108, TXDRDY 0x11C; ENABLE 0x500 (4: on), PSELTXD 0x50C, PSELRXD 0x514, RXD 0x518, TXD 0x51C,
 * BAUDRATE 0x524. The micro:bit's USB chip listens on pin 24 and sends on pin 25.
 * TIMER0 at 0x40008000 (chapter 19): tasks START 0x000, CAPTURE[0] 0x040; BITMODE 0x508 (3: 32 bits),
 * PRESCALER 0x510 (0: 16 MHz), CC[0] 0x540. CLOCK's task HFCLKSTART 0x40000000 starts the crystal.
 */
#include "board.h"

#include "registers.h"

#define UART 0x40002000u
#define TIMER 0x40008000u
#define HFCLKSTART REGISTER(0x40000000u)
#define GPIO_DIRSET REGISTER(0x50000518u)
#define TX_PIN 24u
#define RX_PIN 25u

const uint32_t board_hz = 16000000u;

void board_init(void) {
    HFCLKSTART = 1;
    REGISTER(TIMER + 0x508u) = 3;
    REGISTER(TIMER + 0x510u) = 0;
    REGISTER(TIMER) = 1;
    GPIO_DIRSET = 1u << TX_PIN;
    REGISTER(UART + 0x50Cu) = TX_PIN;
    REGISTER(UART + 0x514u) = RX_PIN;
    REGISTER(UART + 0x524u) = (uint32_t)(((uint64_t)BOARD_BAUD << 32) / board_hz + 0x800u) & 0xFFFFF000u;
    REGISTER(UART + 0x500u) = 4;
    REGISTER(UART) = 1;
    REGISTER(UART + 0x008u) = 1;
}

/* Reads the clock while it waits, so that only an inference can keep two readings apart. */
uint8_t board_get(void) {
    while (!REGISTER(UART + 0x108u)) {
        (void)board_ticks();
    }
    REGISTER(UART + 0x108u) = 0;
    return (uint8_t)REGISTER(UART + 0x518u);
}

void board_put(uint8_t byte) {
    REGISTER(UART + 0x11Cu) = 0;
    REGISTER(UART + 0x51Cu) = byte;
    while (!REGISTER(UART + 0x11Cu)) {
    }
}

/* The 32 bits of TIMER0, taken further with every reading: two may be 268 s apart, 4.29 G cycles. */
uint64_t board_ticks(void) {
    static uint64_t ticks;
    REGISTER(TIMER + 0x040u) = 1;
    ticks += REGISTER(TIMER + 0x540u) - (uint32_t)ticks;
    return ticks;
}
