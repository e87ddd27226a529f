#include "tk_within.h"

int32_t tk_within(const int64_t *costs, uint32_t count, int64_t budget) {
    int32_t level = (int32_t)count - 1;
    while (level >= 0 && costs[level] > budget) {
        level--;
    }
    return level;
}
