#include "options.h"

#include <stddef.h>
#include <string.h>

#include "fail.h"

typedef struct {
    const char *key;
    size_t offset;
    uint64_t least, most, scale;
} number_option;

#define AT(field) offsetof(run_options, field)
static const number_option numbers[] = {
    {"least", AT(least), 1, 10000000, 1},         {"most", AT(most), 1, 10000000000u, 1},
    {"every", AT(every), 1, 1000000, 1},          {"counted", AT(counted), 0, 1000, 1},
    {"watch_ms", AT(watch_ns), 1, 3600000, 1000000}, {"pairs", AT(pairs), 1, 10000, 1},
    {"block_us", AT(block_ns), 1, 60000000, 1000}, {"first", AT(first), 0, 1, 1},
};

static const struct {
    const char *key;
    size_t offset;
} texts[] = {{"input", AT(input)},        {"output", AT(output)},
             {"other", AT(other)},        {"other_input", AT(other_input)},
             {"library", AT(load.library)}, {"scratch", AT(load.scratch)}};

static uint64_t number(const char *word, const char *digits, size_t length, uint64_t least, uint64_t most) {
    uint64_t value = 0;
    size_t i = 0;
    for (; i < length && digits[i] >= '0' && digits[i] <= '9' && value <= most; i++) {
        value = value * 10 + (uint64_t)(digits[i] - '0');
    }
    if (!length || i < length || value < least || value > most) {
        FAIL(FAIL_INPUT, word, ": a number from ", decimal(least), " to ", decimal(most), " is asked for");
    }
    return value;
}

/* "12" or "0.25", to a millisecond. */
static uint64_t seconds(const char *word, const char *value) {
    const char *point = strchr(value, '.');
    size_t whole = point ? (size_t)(point - value) : strlen(value);
    uint64_t ms = 1000 * number(word, value, whole, 0, 86400);
    if (point) {
        size_t digits = strlen(point + 1);
        uint64_t fraction = number(word, point + 1, digits, 0, 999);
        ms += digits == 1 ? fraction * 100 : digits == 2 ? fraction * 10 : fraction;
        if (digits > 3) {
            FAIL(FAIL_INPUT, word, ": at most three digits behind the point");
        }
    }
    return ms * 1000000u;
}

static uint64_t cpus(const char *word, const char *value) {
    uint64_t set = 0;
    for (;;) {
        size_t length = strcspn(value, ",");
        set |= (uint64_t)1 << number(word, value, length, 0, 63);
        if (!value[length]) {
            return set;
        }
        value += length + 1;
    }
}

static void watch(run_options *options, const char *path) {
    int count = 0;
    while (options->watch[count]) {
        count++;
    }
    if (count == WATCH_PATHS) {
        FAIL(FAIL_INPUT, "watch=: at most ", decimal(WATCH_PATHS), " files");
    }
    options->watch[count] = path;
}

static int read_text(run_options *options, const char *word, size_t key, const char *value) {
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].key) == key && !memcmp(texts[i].key, word, key)) {
            memcpy((char *)options + texts[i].offset, &value, sizeof value);
            return 1;
        }
    }
    return 0;
}

static int read_number(run_options *options, const char *word, size_t key, const char *value) {
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const number_option *one = &numbers[i];
        if (strlen(one->key) == key && !memcmp(one->key, word, key)) {
            uint64_t given = one->scale * number(word, value, strlen(value), one->least, one->most);
            memcpy((char *)options + one->offset, &given, sizeof given);
            return 1;
        }
    }
    return 0;
}

void options_read(run_options *options, char *const *words) {
    *options = (run_options){.load = {.threads = 1},       .seconds_ns = 1000000000u, .least = 1,
                             .most = 1000000,              .every = 1,                .counted = 10,
                             .watch_ns = 250000000u,       .pairs = 1,                .block_ns = 100000000u};
    for (; *words; words++) {
        const char *word = *words;
        size_t key = strcspn(word, "=");
        const char *value = word[key] ? word + key + 1 : "";
        if (!*value) {
            FAIL(FAIL_INPUT, word, ": not key=value");
        }
        if (!strncmp(word, "threads=", 8)) {
            options->load.threads = (int)number(word, value, strlen(value), 1, 64);
        } else if (!strncmp(word, "seconds=", 8)) {
            options->seconds_ns = seconds(word, value);
        } else if (!strncmp(word, "cpus=", 5)) {
            options->cpus = cpus(word, value);
        } else if (!strncmp(word, "watch=", 6)) {
            watch(options, value);
        } else if (!read_text(options, word, key, value) && !read_number(options, word, key, value)) {
            FAIL(FAIL_INPUT, word, ": unknown key");
        }
    }
    if (options->least > options->most) {
        FAIL(FAIL_INPUT, "least= is more than most=");
    }
}
