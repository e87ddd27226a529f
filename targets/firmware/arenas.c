/* arenas.c - the arenas of a model whose memory is spread over several regions, for link.ld to place. */
#include "program.h"

#ifdef TK_ARENA_1_BYTES
static uint8_t arena_1[TK_ARENA_1_BYTES] __attribute__((aligned(16), section(TK_ARENA_1_SECTION)));
#ifdef TK_ARENA_2_BYTES
static uint8_t arena_2[TK_ARENA_2_BYTES] __attribute__((aligned(16), section(TK_ARENA_2_SECTION)));
#endif

void *const arenas[] = {
    arena,
    arena_1,
#ifdef TK_ARENA_2_BYTES
    arena_2,
#endif
};
#endif
