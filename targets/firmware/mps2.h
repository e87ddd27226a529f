/* mps2.h - board.h on Arm's MPS2 and MPS3 boards, which differ in addresses and clocks.
 *
 * Included once, by board.c, which defines before it
 * UART    address of the UART that the serial line is at
 * FPGAIO  address of the block with clocks and lights
 * HZ      of the UART's bus and of FPGAIO's COUNTER
 *
 * board_ticks does not wrap within 497 days; the pin is the first light.
 */
#ifndef MPS2_H
#define MPS2_H

#include "board.h"

#include "cmsdk_uart.h"
#include "fpgaio.h"

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

#endif
