/* count.h - how many ticks a call takes. */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

typedef void count_call(const void *const inputs[], void *const outputs[], void *arena);

/* Ticks between a reading of the clock before the call and one after it.
 *
 * What the readings and the call itself take is the same every time: count_ticks of count_nothing.
 * The calls of count_ticks are also what toolchain/device/trace.py counts the addresses of: it looks for the
 * symbols count_ticks, count_begin, count_end and count_nothing.
 */
uint64_t count_ticks(count_call *call, const void *const inputs[], void *const outputs[], void *arena);

/* Returns at once. */
void count_nothing(const void *const inputs[], void *const outputs[], void *arena);

#endif
