/* board.c - Arm MPS2 with the AN500 image (Cortex-M7), as QEMU's mps2-an500 has it (Arm DAI 0500). */
#define UART 0x40004000u
#define FPGAIO 0x40028000u
#define HZ 25000000u
#include "mps2.h"
