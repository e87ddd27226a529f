/* onnxruntime_abi.h - what this runner uses of ONNX Runtime's C interface (onnxruntime_c_api.h, MIT).
 *
 * OrtApi is a table of functions that only grows: an entry's index is the same in every release since the
 * version of the table that brought it. Version 5 (ONNX Runtime 1.6) holds all that is used here. The indices
 * are pinned upstream too: static asserts say that ReleaseCustomOpDomain is 101, the last of version 1.
 */
#ifndef ONNXRUNTIME_ABI_H
#define ONNXRUNTIME_ABI_H

#include <stddef.h>
#include <stdint.h>

enum { ORT_VERSION = 5 };

typedef struct ort_handle ort; /* all objects are opaque */
typedef ort *ort_status;       /* NULL: well */

typedef struct {
    const void *const *(*get_api)(uint32_t version); /* NULL where it is newer than the library */
    const char *(*get_version)(void);
} ort_base;

enum { ORT_LOG_FATAL = 4, ORT_ARENA_ALLOCATOR = 1, ORT_MEMORY_DEFAULT = 0, ORT_NO_ALLOCATION = 6 };

/* X(name, index, arguments); all return ort_status. */
#define ORT_FUNCTIONS(X) \
    X(CreateEnv, 3, (int level, const char *name, ort **made)) \
    X(DisableTelemetryEvents, 6, (const ort *environment)) \
    X(CreateSession, 7, (const ort *environment, const char *path, const ort *options, ort **made)) \
    X(Run, 9, \
      (ort *session, const ort *options, const char *const *input_names, const ort *const *inputs, \
       size_t input_count, const char *const *output_names, size_t output_count, ort **outputs)) \
    X(CreateSessionOptions, 10, (ort **made)) \
    X(EnableProfiling, 14, (ort *options, const char *prefix)) \
    X(DisableMemPattern, 17, (ort *options)) \
    X(SetSessionLogSeverityLevel, 22, (ort *options, int level)) \
    X(SetIntraOpNumThreads, 24, (ort *options, int threads)) \
    X(SetInterOpNumThreads, 25, (ort *options, int threads)) \
    X(SessionGetInputCount, 30, (const ort *session, size_t *count)) \
    X(SessionGetOutputCount, 31, (const ort *session, size_t *count)) \
    X(SessionGetInputTypeInfo, 33, (const ort *session, size_t index, ort **made)) \
    X(SessionGetOutputTypeInfo, 34, (const ort *session, size_t index, ort **made)) \
    X(SessionGetInputName, 36, (const ort *session, size_t index, ort *allocator, char **name)) \
    X(SessionGetOutputName, 37, (const ort *session, size_t index, ort *allocator, char **name)) \
    X(CreateTensorWithDataAsOrtValue, 49, \
      (const ort *memory, void *data, size_t bytes, const int64_t *shape, size_t rank, int type, \
       ort **made)) \
    X(CastTypeInfoToTensorInfo, 55, (const ort *type, const ort **tensor)) \
    X(GetTensorElementType, 60, (const ort *tensor, int *type)) \
    X(GetDimensionsCount, 61, (const ort *tensor, size_t *rank)) \
    X(GetDimensions, 62, (const ort *tensor, int64_t *shape, size_t rank)) \
    X(CreateCpuMemoryInfo, 69, (int allocator, int memory, ort **made)) \
    X(GetAllocatorWithDefaultOptions, 78, (ort **allocator)) \
    X(SessionEndProfiling, 110, (ort *session, ort *allocator, char **path)) \
    X(AddSessionConfigEntry, 130, (ort *options, const char *key, const char *value))

enum { ORT_GET_ERROR_CODE = 1, ORT_GET_ERROR_MESSAGE = 2 }; /* int and const char * of a status */

#endif
