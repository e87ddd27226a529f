/* board.c - Arm MPS2 with the AN386 image (Cortex-M4), as QEMU's mps2-an386 has it (Arm DAI 0386). */
#include "board.h"

#include "cmsdk_uart.h"
#include "fpgaio.h"

#define UART 0x40004000u
#define FPGAIO 0x40028000u
#define HZ 25000000u

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

void board_pin(uint32_t level) {
    fpgaio_pin(FPGAIO, level);
}
