#include "db.h"

#include "board.h"
#include "line.h"
#include "program.h"
#include "real.h"
#include "text.h"

#define ALIGNED(bytes) (((bytes) + 15u) & ~15u)
#define REALS_BYTES (4u * TK_INPUT_BYTES)

extern uint8_t link_free_start[], link_free_end[];

/* size:  bytes to come, of which `filled` are there
 * flip:  what a byte is xored with on its way in
 * reals: they are reals, kept behind the codes to be made of them
 */
static struct {
    uint32_t size, filled;
    uint8_t flip, reals;
} db;

/* Free bytes that the codes leave; negative where they do not fit. */
static int32_t spare_bytes(void) {
    return (int32_t)((uintptr_t)link_free_end - (uintptr_t)link_free_start) - (int32_t)ALIGNED(TK_INPUT_BYTES);
}

int32_t db_is_apart(void) {
    return spare_bytes() >= (int32_t)(TK_DB == DB_REALS ? REALS_BYTES : 0);
}

static int32_t holds_reals(void) {
    return TK_DB == DB_REALS && db.reals;
}

static uint8_t *buffer(void) {
    if (!db_is_apart()) {
        return arena + TK_MODEL.input_offset[0];
    }
    return holds_reals() ? link_free_start + ALIGNED(TK_INPUT_BYTES) : link_free_start;
}

const uint8_t *db_reals(void) {
    return holds_reals() ? buffer() : 0;
}

const int8_t *db_codes(void) {
    return (const int8_t *)link_free_start;
}

void db_used(void) {
    if (!db_is_apart()) {
        db.size = db.filled = 0;
    }
}

static void load(const char *size, int32_t as_codes) {
    uint32_t most = TK_PORTS == 1 ? TK_INPUT_BYTES : 0;
    if (db_is_apart()) {
        most = TK_INPUT_BYTES + (uint32_t)spare_bytes();
    }
    db.size = line_number(size);
    db.filled = 0;
    db.flip = TK_DB == DB_PIXELS && !as_codes ? 128 : 0;
    db.reals = !as_codes && db.size == REALS_BYTES;
    if (!db.size || db.size > most) {
        db.size = 0;
        text_put("e-[Room is for 1 to ");
        text_put_number(most);
    } else {
        text_put("m-[Expecting ");
        text_put_number(db.size);
    }
    text_line(" bytes]");
}

static void refuse(void) {
    db.size = 0;
    text_error("Not hexadecimal, or too much: load again");
}

static void put(uint8_t *to, uint32_t byte) {
    to[db.filled++] = (uint8_t)(byte ^ db.flip);
    if (db.filled == db.size) {
        text_line("m-load-done");
    }
}

static void fill(uint8_t *to, const char *digits) {
    do {
        uint32_t high = line_digit(digits[0]), low = high < 16 ? line_digit(digits[1]) : 16;
        if (low > 15 || db.filled >= db.size) {
            refuse();
            return;
        }
        put(to, high << 4 | low);
        digits += 2;
    } while (*digits && db.filled < db.size);
}

/* What comes behind the command's '%', as it is. */
static void fill_raw(uint8_t *to, uint32_t count) {
    if (count > db.size || db.filled + count > db.size) {
        refuse();
        return;
    }
    while (count--) {
        put(to, board_get());
    }
}

void db_command(char *rest) {
    const char *word = line_word(&rest);
    uint8_t *bytes = buffer();
    if (line_equal(word, "load") || line_equal(word, "codes")) {
        load(line_word(&rest), *word == 'c');
    } else if (line_equal(word, "print")) {
        text_bytes("m-buffer", bytes, db.filled, db.flip);
    } else if (line_equal(word, "crc")) {
        text_crc(bytes, db.filled);
    } else if (line_equal(word, "raw")) {
        fill_raw(bytes, line_number(line_word(&rest)));
    } else {
        fill(bytes, word);
    }
}

static void copy(const uint8_t *from, uint8_t *to, uint32_t count) {
    while (count--) {
        *to++ = *from++;
    }
}

int32_t db_inputs(const void *inputs[], int32_t in_arena) {
    uint32_t expected = holds_reals() ? REALS_BYTES : TK_INPUT_BYTES;
    if (db.filled != db.size || db.size != expected) {
        text_put("e-[Load first: bytes ");
        text_put_number(expected);
        text_line("]");
        return 0;
    }
    if (holds_reals()) {
        real_quantize(buffer(), (int8_t *)link_free_start, TK_INPUT_BYTES);
    }
    const uint8_t *codes = link_free_start;
    for (uint32_t i = 0; i < TK_MODEL.input_count; i++) {
        uint32_t bytes = TK_MODEL.input_bytes[i];
        uint8_t *place = arena + TK_MODEL.input_offset[i];
        inputs[i] = place;
        if (db_is_apart()) {
            if (in_arena) {
                copy(codes, place, bytes);
            } else {
                inputs[i] = codes;
            }
        }
        codes += ALIGNED(bytes);
    }
    return 1;
}
