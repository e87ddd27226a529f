/* sha256.h - the digest of a file (FIPS 180-4), read 64 KiB at a time. */
#ifndef SHA256_H
#define SHA256_H

enum { SHA256_TEXT = 65 }; /* hexadecimal digits and a NUL */

/* 0, or the errno of what went wrong. */
int sha256_file(const char *path, char text[SHA256_TEXT]);

#endif
