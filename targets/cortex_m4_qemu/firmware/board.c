/* board.c - Arm MPS2 with the AN386 image (Cortex-M4), as QEMU's mps2-an386 has it.
 *
 * UART0 is a CMSDK UART at 0x40004000 (Arm DDI 0479, section 4.3): DATA 0x00, STATE 0x04 (bit 0 transmitter
 * full, bit 1 receiver full), CTRL 0x08 (bit 0 transmitter on, bit 1 receiver on), BAUDDIV 0x10.
 * FPGAIO at 0x40028000 (Arm DAI 0386): CLK100HZ 0x14 counts at 100 Hz, COUNTER 0x18 at 25 MHz, a tick in
 * 40 ns.
 */
#include "board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_BAUDDIV REGISTER(0x40004010u)
#define CLK100HZ REGISTER(0x40028014u)
#define COUNTER REGISTER(0x40028018u)

void board_init(void) {
    UART_BAUDDIV = 16;
    UART_CTRL = 3;
}

uint8_t board_read(void) {
    while (!(UART_STATE & 2u)) {
    }
    return (uint8_t)UART_DATA;
}

void board_write(uint8_t byte) {
    while (UART_STATE & 1u) {
    }
    UART_DATA = byte;
}

/* Reads COUNTER at an instruction that falls on a whole tick.
 *
 * QEMU with -icount shift=6 gives each instruction 64 ns = 1.6 ticks, so neighbouring instructions read 1
 * or 2 ticks apart, in a cycle of five: 1 2 1 2 2. Two steps of 2 in a row end where the cycle begins, on a
 * whole tick; from there, n instructions take floor(1.6 n) ticks, which tells n exactly. The loop of eight
 * instructions meets every phase. Where instructions have no such rhythm, it gives up after 64 rounds.
 */
static inline uint32_t counter_on_whole_tick(void) {
    uint32_t first, second, third, rounds = 64;
    __asm__ volatile(
        "1: subs %3, %3, #1\n"
        "   ldr %0, [%4]\n"
        "   ldr %1, [%4]\n"
        "   ldr %2, [%4]\n"
        "   beq 2f\n"
        "   subs %0, %2, %0\n"
        "   cmp %0, #4\n"
        "   bne 1b\n"
        "2:\n"
        : "=&r"(first), "=&r"(second), "=&r"(third), "+&r"(rounds)
        : "r"(&COUNTER)
        : "cc", "memory");
    return third;
}

__attribute__((noinline)) board_span board_time(board_invoke *invoke, const void *const inputs[],
                                                void *const outputs[], void *arena) {
    board_span span;
    span.hundredths = CLK100HZ;
    span.ticks = counter_on_whole_tick();
    invoke(inputs, outputs, arena);
    span.ticks = COUNTER - span.ticks;
    span.hundredths = CLK100HZ - span.hundredths;
    return span;
}
