/* board.c - Arm MPS2 with the AN386 image (Cortex-M4), as QEMU's mps2-an386 has it (Arm DAI 0386). */
#define UART 0x40004000u
#define FPGAIO 0x40028000u
#define HZ 25000000u
#include "mps2.h"
