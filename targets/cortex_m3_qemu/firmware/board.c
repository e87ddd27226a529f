/* board.c - Arm MPS2 with the AN385 image (Cortex-M3), as QEMU's mps2-an385 has it (Arm DAI 0385). */
#define UART 0x40004000u
#define FPGAIO 0x40028000u
#define HZ 25000000u
#include "mps2.h"
