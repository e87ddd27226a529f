/* board.c - QEMU's RISC-V machine `virt`.
 *
 * UART0 is a 16550 at 0x10000000, one register a byte: RBR / THR 0, LSR 5 (bit 0 received, bit 5 room to send).
 * The ACLINT's mtime at 0x0200BFF8 (RISC-V ACLINT specification 1.0, chapter 2) counts at 10 MHz, in 64 bits.
 * mtime and not minstret: under -icount QEMU 7 lets minstret count nanoseconds, later ones instructions.
 */
#include "board.h"

#include "registers.h"

#define UART_BYTE(offset) (*(volatile uint8_t *)(0x10000000u + (offset)))
#define MTIME 0x0200BFF8u

const uint32_t board_hz = 10000000u;

void board_init(void) {
}

uint8_t board_get(void) {
    while (!(UART_BYTE(5) & 1u)) {
    }
    return UART_BYTE(0);
}

void board_put(uint8_t byte) {
    while (!(UART_BYTE(5) & 1u << 5)) {
    }
    UART_BYTE(0) = byte;
}

/* The upper half is read on either side of the lower: while that is still small, the later one goes with it. */
uint64_t board_ticks(void) {
    uint32_t before = REGISTER(MTIME + 4u), low = REGISTER(MTIME), after = REGISTER(MTIME + 4u);
    uint32_t is_large = 0u - (low >> 31);
    return (uint64_t)(after ^ ((before ^ after) & is_large)) << 32 | low;
}
