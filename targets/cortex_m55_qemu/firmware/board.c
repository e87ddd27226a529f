/* board.c - Arm MPS3 with the AN547 image (Cortex-M55), as QEMU's mps3-an547 has it (Arm DAI 0547).
 *
 * The core starts in the secure state and stays there: addresses are the secure aliases.
 */
#define UART 0x59303000u
#define FPGAIO 0x59302000u
#define HZ 20000000u
#include "mps2.h"
