/* modes.h - what the runner does with a model. Each writes its lines of the record. */
#ifndef MODES_H
#define MODES_H

#include "options.h"

typedef void mode(const backend *runtime, const run_options *options);

mode mode_run, mode_time, mode_profile, mode_compare;

#endif
