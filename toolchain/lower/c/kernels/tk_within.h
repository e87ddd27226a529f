/* tk_within.h - the level that a budget allows: the last one whose cost is at most the budget, -1 for none.
 *
 * costs   [count]  in the unit of the budget, 0 or more, each at least the one before
 * budget  any; a negative one, as of a deadline that is past, pays for none
 *
 * Source: toolchain/levels.py. Reentrant; no memory, no libc.
 */
#ifndef TK_WITHIN_H
#define TK_WITHIN_H

#include <stdint.h>

int32_t tk_within(const int64_t *costs, uint32_t count, int64_t budget);

#endif
