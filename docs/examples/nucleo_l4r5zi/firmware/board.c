/* board.c - NUCLEO-L4R5ZI (STM32L4R5ZI). Written from ST's RM0432 and UM2179; never run on the board.
 *
 * Clock: after reset, the oscillator MSI at 4 MHz. MSI * 60 / 2 = 120 MHz by the PLL (RM0432, chapters 5, 6),
 * MSI held to the crystal of 32,768 Hz, without which it is off by up to 1 % and every microsecond with it.
 * Serial line: LPUART1 on PG7 and PG8, which the ST-LINK brings to USB (chapter 51).
 * Ticks: TIM2, 32 bits, at 10 MHz (chapter 38).
 * Pin for an energy meter: PF13, D7 of the Arduino connector.
 */
#include "board.h"

#include "registers.h"

#define PWR 0x40007000u
#define RCC 0x40021000u
#define FLASH 0x40022000u
#define GPIOF 0x48001400u
#define GPIOG 0x48001800u
#define LPUART1 0x40008000u
#define TIM2 0x40000000u
#define CORE_HZ 120000000u
#define TICK_HZ 10000000u

const uint32_t board_hz = TICK_HZ;

static void wait_for(uint32_t address, uint32_t mask, uint32_t value) {
    while ((REGISTER(address) & mask) != value) {
    }
}

static void start_clocks(void) {
    REGISTER(RCC + 0x58u) |= 1u << 28 | 1u;        /* APB1ENR1: PWR, TIM2 */
    REGISTER(RCC + 0x5Cu) |= 1u;                   /* APB1ENR2: LPUART1 */
    REGISTER(RCC + 0x4Cu) |= 1u << 6 | 1u << 5;    /* AHB2ENR: GPIOG, GPIOF */
    REGISTER(PWR) |= 1u << 8;                      /* CR1: the crystal's register may be written */
    REGISTER(PWR + 0x04u) |= 1u << 9;              /* CR2: PG2 to PG15 have their supply */
    REGISTER(PWR + 0x80u) &= ~(1u << 8);           /* CR5: range 1 boosted, for more than 80 MHz */
    REGISTER(RCC + 0x90u) |= 1u;                   /* BDCR: crystal on */
    wait_for(RCC + 0x90u, 2u, 2u);
    REGISTER(RCC) |= 1u << 2;                      /* CR: MSI held to it */
    REGISTER(FLASH) = 5u | 7u << 8;                /* ACR: 5 wait states, prefetch, both caches */
    wait_for(FLASH, 15u, 5u);
    REGISTER(RCC + 0x0Cu) = 1u | 60u << 8 | 1u << 24; /* PLLCFGR: MSI, / 1, * 60, / 2 to the core */
    REGISTER(RCC) |= 1u << 24;
    wait_for(RCC, 1u << 25, 1u << 25);
    REGISTER(RCC + 0x08u) = 8u << 4 | 3u;          /* CFGR: the PLL; at half speed for the first microsecond */
    wait_for(RCC + 0x08u, 3u << 2, 3u << 2);
    for (volatile uint32_t rounds = 0; rounds < 60; rounds++) {
    }
    REGISTER(RCC + 0x08u) = 3u;
}

void board_init(void) {
    start_clocks();
    REGISTER(GPIOG) = (REGISTER(GPIOG) & ~(0xFu << 14)) | 0xAu << 14;         /* PG7, PG8: alternate function */
    REGISTER(GPIOG + 0x20u) = (REGISTER(GPIOG + 0x20u) & ~(0xFu << 28)) | 8u << 28;  /* 8: LPUART1 */
    REGISTER(GPIOG + 0x24u) = (REGISTER(GPIOG + 0x24u) & ~0xFu) | 8u;
    REGISTER(GPIOF) = (REGISTER(GPIOF) & ~(3u << 26)) | 1u << 26;             /* PF13: output */
    REGISTER(LPUART1 + 0x2Cu) = 2u;                                           /* PRESC: / 4 */
    REGISTER(LPUART1 + 0x0Cu) = (uint32_t)(CORE_HZ / 4u * 256ull / BOARD_BAUD); /* BRR */
    REGISTER(LPUART1 + 0x08u) = 1u << 12;                                     /* CR3: a byte lost stops nothing */
    REGISTER(LPUART1) = 1u << 3 | 1u << 2 | 1u;                               /* CR1: both ways, on */
    REGISTER(TIM2 + 0x28u) = CORE_HZ / TICK_HZ - 1u;                          /* PSC */
    REGISTER(TIM2 + 0x14u) = 1u;                                              /* EGR: take it */
    REGISTER(TIM2) = 1u;                                                      /* CR1: count */
}

/* Reads the clock while it waits, so that only an inference can keep two readings apart. */
uint8_t board_get(void) {
    while (!(REGISTER(LPUART1 + 0x1Cu) & 1u << 5)) {
        (void)board_ticks();
    }
    return (uint8_t)REGISTER(LPUART1 + 0x24u);
}

void board_put(uint8_t byte) {
    while (!(REGISTER(LPUART1 + 0x1Cu) & 1u << 7)) {
    }
    REGISTER(LPUART1 + 0x28u) = byte;
}

/* The 32 bits of TIM2, taken further with every reading: two may be 429 s apart. */
uint64_t board_ticks(void) {
    static uint64_t ticks;
    ticks += REGISTER(TIM2 + 0x24u) - (uint32_t)ticks;
    return ticks;
}

void board_pin(uint32_t level) {
    REGISTER(GPIOF + 0x18u) = 1u << (level ? 13 : 29);
}
