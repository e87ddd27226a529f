/* tk_within.h - the level that a budget allows: the last one whose cost is at most the budget, -1 for none.
 *
 * costs   [count]  in the unit of the budget
 *
 * Source: toolchain/levels.py. Reentrant; no memory, no libc.
 */
#ifndef TK_WITHIN_H
#define TK_WITHIN_H

#include <stdint.h>

int32_t tk_within(const uint64_t *costs, uint32_t count, uint64_t budget);

#endif
