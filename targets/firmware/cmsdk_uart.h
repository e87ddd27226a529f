/* cmsdk_uart.h - the UART of Arm's Cortex-M System Design Kit (Arm DDI 0479, section 4.3).
 *
 * DATA 0x00; STATE 0x04: bit 0 transmitter full, bit 1 receiver full; CTRL 0x08: bit 0 transmitter on, bit 1
 * receiver on; BAUDDIV 0x10: bus clock / baud rate, at least 16.
 */
#ifndef CMSDK_UART_H
#define CMSDK_UART_H

#include "registers.h"

static inline void cmsdk_uart_init(uint32_t base, uint32_t bus_hz, uint32_t baud) {
    REGISTER(base + 0x10u) = bus_hz / baud;
    REGISTER(base + 0x08u) = 3u;
}

static inline uint8_t cmsdk_uart_get(uint32_t base) {
    while (!(REGISTER(base + 0x04u) & 2u)) {
    }
    return (uint8_t)REGISTER(base);
}

static inline void cmsdk_uart_put(uint32_t base, uint8_t byte) {
    while (REGISTER(base + 0x04u) & 1u) {
    }
    REGISTER(base) = byte;
}

#endif
