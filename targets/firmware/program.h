/* program.h - the model in this image, and its arena. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

#include "tk_model.h"

extern const tk_model TK_MODEL;

/* Of TK_ARENA_BYTES, 16-aligned. */
extern uint8_t arena[];

/* What invoke takes: the arena, or pointers to it and to those in other regions (TK_ARENA_1_BYTES ...). */
#ifdef TK_ARENA_1_BYTES
extern void *const arenas[];
#define PROGRAM_ARENAS ((void *)arenas)
#else
#define PROGRAM_ARENAS arena
#endif

/* Points to each output's place in the arena. TK_PORTS: inputs or outputs, which are more. */
void program_outputs(void *outputs[TK_PORTS]);

#endif
