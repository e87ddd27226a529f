/* board.c - Arm MPS3 with the AN547 image (Cortex-M55), as QEMU's mps3-an547 has it (Arm DAI 0547).
 *
 * The core starts in the secure state and stays there: addresses are the secure aliases.
 */
#include "board.h"

#include "cmsdk_uart.h"
#include "fpgaio.h"

#define UART 0x59303000u
#define FPGAIO 0x59302000u
#define HZ 20000000u

const uint32_t board_hz = HZ;

void board_init(void) {
    cmsdk_uart_init(UART, HZ, BOARD_BAUD);
}

uint8_t board_get(void) {
    return cmsdk_uart_get(UART);
}

void board_put(uint8_t byte) {
    cmsdk_uart_put(UART, byte);
}

uint64_t board_ticks(void) {
    return fpgaio_ticks(FPGAIO, HZ / 100u);
}
