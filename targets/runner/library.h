/* library.h - a runtime's library, loaded when the program runs. */
#ifndef LIBRARY_H
#define LIBRARY_H

void *library_open(const char *path);

typedef void (*function)(void);
function library_function(void *library, const char *name); /* fails where there is none */

#endif
