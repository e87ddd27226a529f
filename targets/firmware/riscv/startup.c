/* startup.c - the entry of a RISC-V core without an operating system, in machine mode. */
#include "sections.h"

int main(void);

/* First in flash. Traps end in fault(); no interrupts are enabled. */
__asm__(
    ".section .vectors, \"ax\"\n"
    ".globl reset\n"
    ".type reset, @function\n"
    "reset:\n"
    ".option push\n"
    ".option norelax\n"
    "    la gp, __global_pointer$\n"
    ".option pop\n"
    "    la sp, link_stack_top\n"
    "    la t0, trap\n"
    "    .insn i 0x73, 1, x0, t0, 0x305\n" /* csrw mtvec, t0, which rv32imac without zicsr has no name for */
    "    tail run\n"
    ".balign 4\n"
    "trap:\n"
    "    tail fault\n"
    ".size reset, . - reset\n"
    ".text\n");

void run(void);
__attribute__((used)) void run(void) {
    sections_fill();
    main();
}
