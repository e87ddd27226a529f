#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "memory.h"

enum { NODES = 16384 };

typedef struct {
    char *kind, *name;
    uint64_t us, count;
} node;

/* What follows a key up to the quote that ends it, in place; escapes stay as they are. NULL without one. */
static char *text_of(char **line, const char *key) {
    char *start = strstr(*line, key);
    if (!start) {
        return NULL;
    }
    start += strlen(key);
    for (char *end = start; *end; end++) {
        if (*end == '"') {
            *end = '\0';
            *line = end + 1;
            return start;
        }
        end += *end == '\\' && end[1];
    }
    return NULL;
}

/* Of nodes' events, those of their kernels; others say "_fence_before" and such. */
static void add_line(node *nodes, char *line) {
    static const char suffix[] = "_kernel_time";
    static const char node_event[] = "{\"cat\" : \"Node\"";
    char *duration = strstr(line, "\"dur\" :"), *rest = line;
    char *name = duration ? text_of(&rest, "\"name\" :\"") : NULL;
    size_t length = name ? strlen(name) : 0;
    if (strncmp(line, node_event, sizeof node_event - 1) || length < sizeof suffix - 1 ||
        strcmp(name + length - (sizeof suffix - 1), suffix)) {
        return;
    }
    name[length - (sizeof suffix - 1)] = '\0';
    char *at = rest, *kind = text_of(&at, "\"op_name\" : \"");
    if (at > rest) {
        at[-1] = ' '; /* the kind may stand before the index or behind it */
    }
    char *number = strstr(rest, "\"node_index\" : \"");
    unsigned long index = number ? strtoul(number + 16, NULL, 10) : NODES;
    if (!kind || index >= NODES) {
        return;
    }
    if (!nodes[index].name) {
        nodes[index].kind = strndup(kind, strcspn(kind, " \""));
        nodes[index].name = strdup(name);
    }
    nodes[index].us += strtoull(duration + 7, NULL, 10);
    nodes[index].count++;
}

void trace_read(const char *path, op_visitor *visit) {
    node *nodes = memory_take(NODES * sizeof *nodes);
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    if (!file) {
        FAIL(FAIL_INPUT, "ONNX Runtime's profile ", path, ": ", strerror(errno));
    }
    while (getline(&line, &room, file) > 0) {
        add_line(nodes, line);
    }
    fclose(file);
    free(line);
    for (uint32_t i = 0; i < NODES; i++) {
        if (nodes[i].kind && nodes[i].name) {
            visit(i, nodes[i].kind, nodes[i].name, nodes[i].us * 1000, nodes[i].count);
        }
    }
    free(nodes);
}
