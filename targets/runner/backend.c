#include "backend.h"

#include "fail.h"

enum { MOST = 1 << 30 };

void ports_add(ports *all, port added, size_t width) {
    const char *name = added.name ? added.name : "";
    if (all->count == PORTS) {
        FAIL(FAIL_MODEL, "the model has more than ", decimal(PORTS), " inputs or outputs");
    }
    if (!width) {
        FAIL(FAIL_MODEL, "tensor ", name, " is of type ", added.dtype, ", which this runner cannot feed");
    }
    added.bytes = width;
    for (uint32_t i = 0; i < added.rank; i++) {
        added.shape[i] = added.shape[i] < 0 ? 1 : added.shape[i];
        uint64_t size = (uint64_t)added.shape[i];
        if (!size || size > MOST / added.bytes) {
            FAIL(FAIL_MODEL, "tensor ", name, " has a dimension of ", decimal(size), ": empty, or too large");
        }
        added.bytes *= (size_t)size;
    }
    all->bytes += added.bytes;
    if (all->bytes > MOST) {
        FAIL(FAIL_MODEL, "a sample is of more than ", decimal(MOST), " bytes");
    }
    all->port[all->count++] = added;
}
