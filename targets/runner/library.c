#include "library.h"

#include <dlfcn.h>
#include <string.h>

#include "fail.h"

void *library_open(const char *path) {
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) {
        FAIL(FAIL_LIBRARY, path ? dlerror() : "no library=PATH");
    }
    return library;
}

function library_function(void *library, const char *name) {
    void *address = dlsym(library, name);
    function found = NULL;
    if (!address) {
        FAIL(FAIL_LIBRARY, "the library has no ", name, "; it is not the release that this runner is for");
    }
    memcpy(&found, &address, sizeof found); /* C99 has no cast; POSIX says that they are alike */
    return found;
}
