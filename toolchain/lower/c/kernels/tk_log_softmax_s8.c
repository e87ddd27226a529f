#include "tk_log_softmax_s8.h"

#include "tk_fixed_point.h"

/* Q0.31 */
#define SQRT_OF_HALF 1518500250
#define FOURTH_ROOT_OF_HALF 1805811301
#define LOG_OF_2 1488522236

/* x = root * 2^power: root Q0.31, around the fourth root of 1/2; power Q5.26 / 2. */
typedef struct {
    int32_t root;
    int32_t power;
} parts;

/* Of x in Q12.19: normalized in two ways, sqrt(1/2) apart; the smaller root is taken. */
static parts parts_of(int32_t x) {
    const int32_t quarter = 1 << 23, zeros = tk_leading_zeros((uint32_t)x);
    const int32_t less = tk_doubling_high_mul(x, SQRT_OF_HALF);
    const int32_t headroom = tk_leading_zeros((uint32_t)less) - 1;
    const int32_t halved =
        tk_shift_left_saturating(tk_doubling_high_mul(x * (1 << (zeros - 1)), SQRT_OF_HALF), 1);
    const int64_t whole = (int64_t)x * (1 << headroom);
    const int32_t low = (12 - zeros) * (1 << 25) + quarter, high = (12 - headroom) * (1 << 25) - quarter;
    parts found = {.root = whole < halved ? (int32_t)whole : halved, .power = low > high ? low : high};
    return found;
}

/* log(x), Q5.26, for x >= 1 in Q12.19: a rational function of root's distance from its centre. */
static int32_t log_of(int32_t x) {
    const parts p = parts_of(x);
    const int32_t middle = (int32_t)(((int64_t)p.root + FOURTH_ROOT_OF_HALF + 1) >> 1);
    const int32_t q = 2 * (p.root - FOURTH_ROOT_OF_HALF), square = tk_doubling_high_mul(q, q);
    const int32_t top = tk_doubling_high_mul(q, p.root) +
                        tk_doubling_high_mul(tk_doubling_high_mul(q, square), 117049297);
    const int32_t bottom =
        tk_doubling_high_mul(middle, 1057819769 + q + tk_doubling_high_mul(127690142, square)) +
        tk_doubling_high_mul(638450708, q);
    const int32_t rest =
        tk_doubling_high_mul(tk_divide_by_power_of_two(top, 6), tk_one_over_one_plus(bottom));
    return tk_shift_left_saturating(tk_doubling_high_mul(p.power, LOG_OF_2) + rest, 1);
}

static int32_t largest_of(const int8_t *x, int32_t depth) {
    int32_t largest = x[0];
    for (int32_t i = 1; i < depth; i++) {
        largest = x[i] > largest ? x[i] : largest;
    }
    return largest;
}

static void log_softmax_row(const tk_log_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    const int32_t largest = largest_of(x, p->depth);
    int32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        sum += tk_divide_by_power_of_two(p->exp[largest - x[i]], 12);
    }
    const int32_t log_sum = log_of(sum);
    for (int32_t i = 0; i < p->depth; i++) {
        int32_t code = tk_divide_by_power_of_two(p->scaled[largest - x[i]] - log_sum, 22);
        out[i] = tk_code_s8(code, 127, -255, 0);
    }
}

void tk_log_softmax_s8(const tk_log_softmax_s8_params *p, const int8_t *x, int8_t *out) {
    for (int32_t row = 0; row < p->rows; row++) {
        log_softmax_row(p, x + row * p->depth, out + row * p->depth);
    }
}
