/* address_counter.c - a plugin of QEMU's: how often the instruction at each address ran, between two marks.
 *
 * Arguments: begin=ADDRESS, end=ADDRESS, out=FILE; addresses hexadecimal. Each time `end` is reached, FILE is
 * written anew and whole: a window for each time since the start, every one a line "window" and lines
 * "ADDRESS EXECUTIONS". An address may come more than once in a window: its executions are their sum.
 *
 * QEMU translates code in blocks that run from their first instruction to their last unless a fault or a device
 * register that is touched ends them early; so counting blocks counts instructions, where neither is in between.
 * The functions below are all of QEMU's plugin interface that this takes (docs/devel/tcg-plugins.rst); they are
 * the same in its versions 1 and 2, of which PLUGIN_VERSION is one.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CALLBACK_READS_NO_REGISTERS = 0 };
typedef void translated(uint64_t plugin, struct qemu_plugin_tb *block);
typedef void executed(unsigned cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, translated *callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, executed *callback, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction, executed *callback, int flags,
                                            void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = PLUGIN_VERSION;
EXPORTED int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments);

/* A translated block: how often it ran, in all and before the window, and where its instructions are. */
typedef struct block {
    struct block *next;
    uint64_t runs, runs_before;
    size_t count;
    uint64_t address[];
} block;

static block *blocks;
static uint64_t begin_address, end_address;
static const char *out;
static char *text;
static size_t text_bytes;
static FILE *windows;

static void fail(const char *what) {
    fprintf(stderr, "address_counter: %s\n", what);
    exit(1);
}

static void ran(unsigned cpu, void *data) {
    (void)cpu;
    ((block *)data)->runs++;
}

static void begin(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    for (block *one = blocks; one; one = one->next) {
        one->runs_before = one->runs;
    }
}

static void write_out(void) {
    char *unfinished = malloc(strlen(out) + 2);
    FILE *file = unfinished ? fopen(strcat(strcpy(unfinished, out), "~"), "w") : NULL;
    if (!file || fflush(windows) || fwrite(text, 1, text_bytes, file) != text_bytes || fclose(file) ||
        rename(unfinished, out)) {
        fail("cannot write the file of counts");
    }
    free(unfinished);
}

static void end(unsigned cpu, void *data) {
    (void)cpu;
    (void)data;
    fprintf(windows, "window\n");
    for (block *one = blocks; one; one = one->next) {
        for (size_t i = 0; i < one->count && one->runs > one->runs_before; i++) {
            fprintf(windows, "%" PRIx64 " %" PRIu64 "\n", one->address[i], one->runs - one->runs_before);
        }
    }
    write_out();
}

static void translate(uint64_t plugin, struct qemu_plugin_tb *code) {
    (void)plugin;
    size_t count = qemu_plugin_tb_n_insns(code);
    block *made = calloc(1, sizeof *made + count * sizeof made->address[0]);
    if (!made) {
        fail("no memory");
    }
    made->count = count;
    made->next = blocks;
    blocks = made;
    qemu_plugin_register_vcpu_tb_exec_cb(code, ran, CALLBACK_READS_NO_REGISTERS, made);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(code, i);
        made->address[i] = qemu_plugin_insn_vaddr(instruction);
        if (made->address[i] == begin_address || made->address[i] == end_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, made->address[i] == begin_address ? begin : end,
                                                   CALLBACK_READS_NO_REGISTERS, NULL);
        }
    }
}

static const char *value_of(const char *name, int count, char **arguments) {
    size_t length = strlen(name);
    for (int i = 0; i < count; i++) {
        if (!strncmp(arguments[i], name, length) && arguments[i][length] == '=') {
            return arguments[i] + length + 1;
        }
    }
    fail(name);
    return NULL;
}

int qemu_plugin_install(uint64_t plugin, const void *machine, int count, char **arguments) {
    (void)machine;
    begin_address = strtoull(value_of("begin", count, arguments), NULL, 16);
    end_address = strtoull(value_of("end", count, arguments), NULL, 16);
    out = strdup(value_of("out", count, arguments));
    windows = open_memstream(&text, &text_bytes);
    if (!out || !windows) {
        fail("no memory");
    }
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translate);
    return 0;
}
