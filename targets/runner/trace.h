/* trace.h - the profile that ONNX Runtime writes: Chrome's trace events, one object a line. */
#ifndef TRACE_H
#define TRACE_H

#include "backend.h"

/* Visits every node with the sum of its kernel's times. */
void trace_read(const char *path, op_visitor *visit);

#endif
