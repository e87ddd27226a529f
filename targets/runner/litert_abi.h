/* litert_abi.h - what this runner uses of LiteRT 2.3.0's C interface (google-ai-edge/LiteRT, litert/c/).
 *
 * The interface changes from release to release without saying so: LiteRtCreateModelFromFile takes the
 * environment first since 2.3, the layout's rank has become seven bits. And the library knows no version
 * of itself. So it is taken by its digest: those of libLiteRt.so in the wheels ai-edge-litert 2.3.0.
 */
#ifndef LITERT_ABI_H
#define LITERT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LITERT_RELEASE "2.3.0"
#if defined(LITERT_SHA256)
/* of the user's own library */
#elif defined(__x86_64__)
#define LITERT_SHA256 "eec47eb35e2924b3166015887e652a58edc9af823ae38e02bf83bef2548300bb"
#elif defined(__aarch64__)
#define LITERT_SHA256 "b57687dc234d2b8b0598aef5a9c961ed24263df8f8b3f56adbee1cff618e544b"
#else
#define LITERT_SHA256 "" /* there is no wheel */
#endif

/* litert_common.h */
typedef int litert_status; /* 0: well */
enum { LITERT_NO_MEMORY = 2 };
typedef struct litert_handle *litert; /* all objects are opaque */
enum { LITERT_CPU = 1 };              /* LiteRtHwAccelerators */
enum { LITERT_READ = 0, LITERT_WRITE = 1 };

/* litert_layout.h, litert_model_types.h */
typedef struct {
    uint32_t rank : 7, has_strides : 1;
    int32_t dimensions[8];
    uint32_t strides[8];
} litert_layout;

typedef struct {
    int32_t element_type;
    litert_layout layout;
} litert_type; /* LiteRtRankedTensorType */

typedef char litert_type_is_72_bytes[sizeof(litert_type) == 72 ? 1 : -1];

/* litert_profiler_event.h */
enum { LITERT_OP = 1 << 1, LITERT_DELEGATE_OP = 1 << 2, LITERT_DELEGATE_PROFILED_OP = 1 << 3 };

typedef struct {
    const char *tag;
    int32_t type;
    uint64_t start_us, elapsed_us;
    int64_t memory[6];
    uint64_t metadata1, metadata2; /* of an op: its node's index, its subgraph's */
    int32_t source;
} litert_event;

/* litert_opaque_options.h: options of the CPU and of the runtime are TOML under these names. */
#define LITERT_CPU_OPTIONS "xnnpack"
#define LITERT_RUNTIME_OPTIONS "runtime_options_string"

#define LITERT_FUNCTIONS(X) \
    X(CreateEnvironment, (int count, const void *options, litert *environment)) \
    X(CreateModelFromFile, (litert environment, const char *path, litert *model)) \
    X(GetModelSignature, (litert model, size_t index, litert *signature)) \
    X(GetSignatureSubgraph, (litert signature, litert *subgraph)) \
    X(GetNumSubgraphInputs, (litert subgraph, size_t *count)) \
    X(GetNumSubgraphOutputs, (litert subgraph, size_t *count)) \
    X(GetSubgraphInput, (litert subgraph, size_t index, litert *tensor)) \
    X(GetSubgraphOutput, (litert subgraph, size_t index, litert *tensor)) \
    X(GetNumSignatureInputs, (litert signature, size_t *count)) \
    X(GetNumSignatureOutputs, (litert signature, size_t *count)) \
    X(GetSignatureInputTensorByIndex, (litert signature, size_t index, litert *tensor)) \
    X(GetSignatureOutputTensorByIndex, (litert signature, size_t index, litert *tensor)) \
    X(GetTensorName, (litert tensor, const char **name)) \
    X(GetRankedTensorType, (litert tensor, litert_type *type)) \
    X(CreateOptions, (litert *options)) \
    X(SetOptionsHardwareAccelerators, (litert options, int accelerators)) \
    X(CreateOpaqueOptions, (const char *name, void *toml, void (*destroy)(void *), litert *options)) \
    X(AddOpaqueOptions, (litert options, litert opaque)) \
    X(CreateCompiledModel, (litert environment, litert model, litert options, litert *compiled)) \
    X(GetCompiledModelInputTensorLayout, \
      (litert compiled, size_t signature, size_t index, litert_layout *layout)) \
    X(GetCompiledModelOutputTensorLayouts, \
      (litert compiled, size_t signature, size_t count, litert_layout *layouts, bool update)) \
    X(GetCompiledModelInputBufferRequirements, \
      (litert compiled, size_t signature, size_t index, litert *wanted)) \
    X(GetCompiledModelOutputBufferRequirements, \
      (litert compiled, size_t signature, size_t index, litert *wanted)) \
    X(CreateManagedTensorBufferFromRequirements, \
      (litert environment, const litert_type *type, litert wanted, litert *buffer)) \
    X(GetTensorBufferPackedSize, (litert buffer, size_t *bytes)) \
    X(LockTensorBuffer, (litert buffer, void **address, int mode)) \
    X(UnlockTensorBuffer, (litert buffer)) \
    X(RunCompiledModel, \
      (litert compiled, size_t signature, size_t inputs, litert *input, size_t outputs, litert *output)) \
    X(CompiledModelGetProfiler, (litert compiled, litert *profiler)) \
    X(StartProfiler, (litert profiler)) \
    X(StopProfiler, (litert profiler)) \
    X(ResetProfiler, (litert profiler)) \
    X(GetNumProfilerEvents, (litert profiler, int *count)) \
    X(GetProfilerEvents, (litert profiler, int count, litert_event *events))

#endif
