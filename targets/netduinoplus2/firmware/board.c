/* board.c - Netduino Plus 2 (STM32F405, Cortex-M4F), as QEMU's netduinoplus2 has it.
 *
 * USART1 at 0x40011000 (ST RM0090, chapter 30): SR 0x00 (bit 5 received, bit 7 room to send), DR 0x04, BRR 0x08
 * (bus clock / baud), CR1 0x0C (bits 2 receiver, 3 transmitter, 13 on), on pins PA9 and PA10.
 * TIM2 at 0x40000000, TIM5 at 0x40000C00, both of 32 bits (chapter 18): CR1 0x00 (bit 0 on), EGR 0x14 (bit 0
 * takes the prescaler), CNT 0x24, PSC 0x28 (clock / (PSC + 1)), ARR 0x2C.
 * QEMU clocks its timers at 1 GHz. After reset the chip's own run at 16 MHz: there, TIMER_HZ is that, and
 * FAST_DIVIDER 1. Not run on hardware.
 */
#include "board.h"

#include "registers.h"

#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define RCC_APB2ENR REGISTER(0x40023844u)
#define GPIOA 0x40020000u
#define USART 0x40011000u
#define TIM2 0x40000000u
#define TIM5 0x40000C00u
#define BUS_HZ 16000000u
#define TIMER_HZ 1000000000u
#define FAST_DIVIDER 64u
#define SLOW_DIVIDER 65536u

const uint32_t board_hz = TIMER_HZ / FAST_DIVIDER;

static void start_timer(uint32_t base, uint32_t divider) {
    REGISTER(base + 0x28u) = divider - 1u;
    REGISTER(base + 0x2Cu) = 0xFFFFFFFFu;
    REGISTER(base + 0x14u) = 1u;
    REGISTER(base) = 1u;
}

void board_init(void) {
    RCC_AHB1ENR |= 1u;
    RCC_APB1ENR |= 1u | 1u << 3;
    RCC_APB2ENR |= 1u << 4;
    REGISTER(GPIOA) = (REGISTER(GPIOA) & ~(0xFu << 18)) | 0xAu << 18;              /* alternate function */
    REGISTER(GPIOA + 0x24u) = (REGISTER(GPIOA + 0x24u) & ~(0xFFu << 4)) | 0x77u << 4; /* 7: USART1 */
    REGISTER(USART + 0x08u) = (BUS_HZ + BOARD_BAUD / 2u) / BOARD_BAUD;
    REGISTER(USART + 0x0Cu) = 1u << 13 | 1u << 3 | 1u << 2;
    start_timer(TIM5, SLOW_DIVIDER);
    start_timer(TIM2, FAST_DIVIDER);
}

uint8_t board_get(void) {
    while (!(REGISTER(USART) & 1u << 5)) {
    }
    return (uint8_t)REGISTER(USART + 0x04u);
}

void board_put(uint8_t byte) {
    while (!(REGISTER(USART) & 1u << 7)) {
    }
    REGISTER(USART + 0x04u) = byte;
}

/* TIM2 with the 32 bits above it, which follow from TIM5, the slow one; TIM5 is taken further with every
 * reading: two may be 78 hours apart.
 */
uint64_t board_ticks(void) {
    static uint64_t slow;
    slow += REGISTER(TIM5 + 0x24u) - (uint32_t)slow;
    uint32_t low = REGISTER(TIM2 + 0x24u);
    uint64_t about = slow * (SLOW_DIVIDER / FAST_DIVIDER);
    return ((about - low + 0x80000000u) & 0xFFFFFFFF00000000u) + low;
}
