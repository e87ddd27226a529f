/* tk_tiles_by_columns_s8_mve.h - tk_depthwise_tiles_s8_mve.h, a tile's second output being the row's next. */
#ifndef TK_TILES_BY_COLUMNS_S8_MVE_H
#define TK_TILES_BY_COLUMNS_S8_MVE_H

#include "tk_depthwise_tiles_s8_mve.h"

void tk_tiles_by_columns_s8_mve(const tk_depthwise_tiles_s8_mve_job *job);

#endif
