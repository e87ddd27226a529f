#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 64, CHUNK = 65536 };

/* FIPS 180-4, 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, int bits) {
    return x >> bits | x << (32 - bits);
}

/* 6.2.2, step 1: the message schedule. */
static void expand(uint32_t w[64], const uint8_t *block) {
    for (int t = 0; t < 16; t++, block += 4) {
        w[t] = (uint32_t)block[0] << 24 | (uint32_t)block[1] << 16 | (uint32_t)block[2] << 8 | block[3];
    }
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
}

/* 6.2.2, steps 2 to 4. */
static void absorb(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64], v[8];
    expand(w, block);
    memcpy(v, state, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t s1 = turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[t] + w[t];
        uint32_t s0 = turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

/* 5.1.1: a one, zeros, and the length in bits. `rest` bytes are left, with room for two blocks behind. */
static void finish(uint32_t state[8], uint8_t *chunk, size_t rest, uint64_t bytes) {
    size_t end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    memset(chunk + rest, 0, end - rest);
    chunk[rest] = 0x80;
    for (int i = 0; i < 8; i++) {
        chunk[end - 1 - (size_t)i] = (uint8_t)(bytes * 8 >> 8 * i);
    }
    for (size_t at = 0; at < end; at += BLOCK) {
        absorb(state, chunk + at);
    }
}

/* Fills the chunk as far as the file goes; -1 on an error. */
static ssize_t fill(int file, uint8_t *chunk) {
    size_t have = 0;
    while (have < CHUNK) {
        ssize_t count = read(file, chunk + have, CHUNK - have);
        if (count == 0) {
            break;
        }
        if (count < 0 && errno != EINTR) {
            return -1;
        }
        have += count > 0 ? (size_t)count : 0;
    }
    return (ssize_t)have;
}

static int digest(int file, uint32_t state[8]) {
    static uint8_t chunk[CHUNK + 2 * BLOCK];
    uint64_t bytes = 0;
    for (;;) {
        ssize_t have = fill(file, chunk);
        if (have < 0) {
            return errno;
        }
        size_t whole = (size_t)have / BLOCK * BLOCK;
        for (size_t at = 0; at < whole; at += BLOCK) {
            absorb(state, chunk + at);
        }
        bytes += (uint64_t)have;
        if (have < CHUNK) {
            memmove(chunk, chunk + whole, (size_t)have - whole);
            finish(state, chunk, (size_t)have - whole, bytes);
            return 0;
        }
    }
}

int sha256_file(const char *path, char text[SHA256_TEXT]) {
    static const char digits[] = "0123456789abcdef";
    uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return errno;
    }
    int failure = digest(file, state);
    close(file);
    for (int i = 0; i < SHA256_TEXT - 1; i++) {
        text[i] = digits[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    }
    text[SHA256_TEXT - 1] = '\0';
    return failure;
}
