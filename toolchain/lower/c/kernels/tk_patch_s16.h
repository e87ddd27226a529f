/* tk_patch_s16.h - the int16 codes under a convolution's window, in one piece: tk_patch_s8.h on their bytes.
 *
 * window   its `channels` are bytes, two for each code; its zero_point is 0
 * x        [input_height][input_width][channels / 2]    int16
 * scratch  [kernel_height][kernel_width][channels / 2]  int16
 *
 * Reentrant; libc: memcpy, memset.
 */
#ifndef TK_PATCH_S16_H
#define TK_PATCH_S16_H

#include "tk_patch_s8.h"

static inline const int16_t *tk_patch_s16(const tk_patch_s8_params *window, const void *x, int32_t row,
                                          int32_t column, void *scratch) {
    const void *patch = tk_patch_s8(window, x, row, column, scratch);
    return patch;
}

#endif
