/* db.h - the buffer that "db" fills: the model's inputs, as they come over the serial line.
 *
 * It lies in the RAM that the image leaves free: it outlives an inference and costs the image nothing. Where
 * too little is free, the place of a model's only input in the arena is the buffer, and an inference uses it
 * up.
 *
 * Several inputs come one after another, each at the next multiple of 16.
 */
#ifndef DB_H
#define DB_H

#include <stdint.h>

/* What "db load" takes (TK_DB): codes; pixels, which are codes + 128; or reals (real.h). "db codes" takes
 * codes whatever the model.
 */
#define DB_CODES 0
#define DB_PIXELS 1
#define DB_REALS 2
#ifndef TK_DB
#define TK_DB DB_CODES
#endif

/* Does what follows "db": load N, codes N, raw N, print, crc, or hexadecimal bytes. */
void db_command(char *rest);

/* Whether the buffer is apart from the arena. */
int32_t db_is_apart(void);

/* Points each of `inputs` to its codes, or returns 0 where other than the model's bytes are loaded.
 *
 * in_arena: bring them to their places in the arena first
 */
int32_t db_inputs(const void *inputs[], int32_t in_arena);

/* An inference has run: what is loaded is gone, where the buffer is not apart. */
void db_used(void);

/* The only input as reals, null where codes were loaded; as codes, where the buffer is apart. */
const uint8_t *db_reals(void);
const int8_t *db_codes(void);

#endif
