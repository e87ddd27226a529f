/* startup.c - vectors and reset of a Cortex-M without an operating system. */
#include <stdint.h>

#include "sections.h"

extern uint32_t link_stack_top;

int main(void);
void fault(void);

/* Switches the coprocessors 10 and 11 on, floating point and MVE, where the compiler may use them
 * (CPACR: Armv7-M Architecture Reference Manual B3.2.20).
 */
static inline void enable_coprocessors(void) {
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\nisb" ::: "memory");
#endif
}

void reset(void);
void reset(void) {
    enable_coprocessors();
    sections_fill();
    main();
}

/* Stack pointer, reset, NMI, hard fault, memory, bus and usage faults; no interrupts are enabled. */
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[] = {
    (uintptr_t)&link_stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
    (uintptr_t)fault,           (uintptr_t)fault, (uintptr_t)fault,
};
