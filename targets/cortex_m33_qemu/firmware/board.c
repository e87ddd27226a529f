/* board.c - Arm MPS2+ with the AN505 image (Cortex-M33), as QEMU's mps2-an505 has it (Arm DAI 0505).
 *
 * The core starts in the secure state and stays there: addresses are the secure aliases.
 */
#define UART 0x50200000u
#define FPGAIO 0x50302000u
#define HZ 20000000u
#include "mps2.h"
