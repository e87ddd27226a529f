/* fpgaio.h - clocks and lights in the FPGAIO block of Arm's MPS2 and MPS3 boards (Arm DAI 0386, section 4.4).
 *
 * LED0 0x00: two lights, bits 0 and 1. CLK100HZ 0x14 counts at 100 Hz, COUNTER 0x18 at the rate of the
 * board's prescaled clock; both from reset.
 */
#ifndef FPGAIO_H
#define FPGAIO_H

#include "registers.h"

/* COUNTER with the 32 bits above it, which follow from CLK100HZ, the slow clock: 2^32 ticks take minutes, the
 * two disagree by a hundredth of a second at most. Wraps with CLK100HZ, after 497 days.
 */
static inline uint64_t fpgaio_ticks(uint32_t base, uint32_t ticks_per_hundredth) {
    uint32_t hundredths = REGISTER(base + 0x14u);
    uint32_t low = REGISTER(base + 0x18u);
    uint64_t about = (uint64_t)hundredths * ticks_per_hundredth;
    return ((about - low + 0x80000000u) & 0xFFFFFFFF00000000u) + low;
}

/* The first light, as a pin that can be watched. */
static inline void fpgaio_pin(uint32_t base, uint32_t level) {
    REGISTER(base) = level;
}

#endif
