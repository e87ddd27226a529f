"""exp, log, logistic, tanh, reciprocal in 32-bit fixed point, bit for bit as TensorFlow Lite's kernels.

A raw value r with n integer bits stands for r * 2**(n - 31) and lies in [-2**31, 2**31); it is held in int64.
Source: gemmlowp fixedpoint/fixedpoint.h (the polynomial, the barrel shifter and the Newton-Raphson steps);
TensorFlow Lite kernels/internal/common.h GetReciprocal.
"""

import numpy as np

from toolchain.ir.quant import divide_by_power_of_two, doubling_high_mul

ONE = 2**31 - 1
"""1.0 with 0 integer bits: the largest raw value stands in for it."""

SQRT_OF_HALF, FOURTH_ROOT_OF_HALF, LOG_OF_2 = 1518500250, 1805811301, 1488522236
"""With 0 integer bits."""
EXP_OF_MINUS_POWER = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535),
                      (3, 720401), (4, 242))
"""(e, exp(-2**e) with 0 integer bits)."""


def rescale(raw: np.ndarray, bits: int) -> np.ndarray:
    """Multiply by 2**bits: a saturating shift to the left, a rounding one to the right."""
    if bits <= 0:
        return divide_by_power_of_two(raw, -bits)
    return np.clip(np.asarray(raw, np.int64) << bits, -(2**31), 2**31 - 1)


def exp_on_negative_values(raw: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp(x) for x <= 0 with `integer_bits` (at most 5) integer bits; the result has 0.

    x = r - k / 4 with r in [-1/4, 0): exp(r) is a polynomial, exp(-k / 4) a product over the bits of k.
    """
    raw = np.asarray(raw, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (raw & (quarter - 1)) - quarter
    result = _exp_near_zero(rescale(rest, integer_bits))
    for exponent, factor in EXP_OF_MINUS_POWER:
        if exponent < integer_bits:
            bit = 1 << (fraction_bits + exponent)
            result = np.where((rest - raw) & bit, doubling_high_mul(result, factor), result)
    return np.where(raw == 0, ONE, result)


def _exp_near_zero(raw: np.ndarray) -> np.ndarray:
    """exp(x) for x in [-1/4, 0), 0 integer bits: Taylor's polynomial of degree 4 around -1/8."""
    exp_of_minus_eighth, third = 1895147668, 715827883
    x = raw + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3, x4 = doubling_high_mul(x2, x), doubling_high_mul(x2, x2)
    tail = doubling_high_mul(rescale(x4, -2) + x3, third) + x2
    return exp_of_minus_eighth + doubling_high_mul(exp_of_minus_eighth, x + rescale(tail, -1))


def _half_denominator_inverse(raw: np.ndarray) -> tuple[np.ndarray, int]:
    """1 / ((1 + x) / 2) for x in [0, 1) with 0 integer bits; the result has 2. Also 1.0 with 2 integer bits.

    Newton-Raphson: 48/17 - 32/17 d, then three steps d' = d + d (1 - h d).
    """
    half = (np.asarray(raw, np.int64) + ONE + 1) >> 1
    one, inverse = 1 << 29, 1515870810 + doubling_high_mul(half, -1010580540)
    for _ in range(3):
        left = one - doubling_high_mul(half, inverse)
        inverse = inverse + rescale(doubling_high_mul(inverse, left), 2)
    return inverse, one


def one_over_one_plus(raw: np.ndarray) -> np.ndarray:
    """1 / (1 + x) for x in [0, 1); both with 0 integer bits."""
    inverse, _ = _half_denominator_inverse(raw)
    return rescale(inverse, 1)


def logistic(raw: np.ndarray, integer_bits: int) -> np.ndarray:
    """1 / (1 + exp(-x)); x with `integer_bits`, the result with 0 integer bits."""
    raw = np.asarray(raw, np.int64)
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(raw), integer_bits))
    return np.where(raw == 0, 1 << 30, np.where(raw > 0, positive, ONE - positive))


def tanh(raw: np.ndarray, integer_bits: int) -> np.ndarray:
    """(1 - e) / (1 + e) with e = exp(-2 |x|), times x's sign; x with at most 4 integer bits, the result 0."""
    raw = np.asarray(raw, np.int64)
    inverse, one = _half_denominator_inverse(exp_on_negative_values(-np.abs(raw), integer_bits + 1))
    size = rescale(inverse - one, 2)
    return np.sign(raw) * size


def reciprocal(raw: np.ndarray, integer_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(m, bits) with 1 / x = m * 2**(-31 - bits) for x > 0: normalized to [1, 2), then inverted."""
    raw = np.asarray(raw, np.int64)
    shift = _leading_zeros(raw)
    return one_over_one_plus((raw << shift) - (1 << 31)), integer_bits - shift


def inverse_sqrt(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(m, bits) with 1 / sqrt(value) = m * 2**(-31 - bits) for whole numbers in [1, 2**29).

    Five Newton-Raphson steps y' = y (3 - x y^2) / 2 with 3 integer bits, x = value brought to [1/4, 1) * 4.
    GetInvSqrtQuantizedMultiplierExp in kernels/internal/common.cc.
    """
    value = np.asarray(value, np.int64)
    pairs = (31 - np.frexp(value.astype(np.float64))[1]) // 2 - 1
    x = (value << (2 * pairs)) >> 1
    half_x, half_three, y = rescale(x, -1), (1 << 28) + (1 << 27), np.full_like(value, 1 << 28)
    for _ in range(5):
        cube = rescale(doubling_high_mul(doubling_high_mul(y, y), y), 6)
        y = rescale(doubling_high_mul(half_three, y) - doubling_high_mul(half_x, cube), 3)
    half_root_two = 1518500250
    inverse, bits = doubling_high_mul(y, half_root_two), 11 - pairs
    inverse = np.where(bits < 0, inverse << np.maximum(-bits, 0), inverse)
    return np.where(value == 1, ONE, inverse), np.where(value == 1, 0, np.maximum(bits, 0))


def log(raw: np.ndarray, integer_bits: int, output_bits: int) -> np.ndarray:
    """log(x) for x >= 1 with `integer_bits`; the result has `output_bits` integer bits.

    kernels/internal/common.h log_x_for_x_greater_than_or_equal_to_1: x = r * 2**k with r around 2**(-1/4),
    where a rational function gives log(r) + log(2) / 4 to the fourth order; k comes 1/4 lower.
    """
    r, power = _near_fourth_root_of_half(np.asarray(raw, np.int64), integer_bits, 30 - output_bits)
    middle, q = (r + FOURTH_ROOT_OF_HALF + 1) >> 1, 2 * (r - FOURTH_ROOT_OF_HALF)
    square = doubling_high_mul(q, q)
    top = doubling_high_mul(q, r) + doubling_high_mul(doubling_high_mul(q, square), 117049297)
    bottom = doubling_high_mul(middle, 1057819769 + q + doubling_high_mul(127690142, square)) \
        + doubling_high_mul(638450708, q)
    rest = doubling_high_mul(rescale(top, -output_bits - 1), one_over_one_plus(bottom))
    return rescale(doubling_high_mul(power, LOG_OF_2) + rest, 1)


def _near_fourth_root_of_half(raw: np.ndarray, integer_bits: int, fraction_bits: int):
    """(r, k) with x = r * 2**k, r between sqrt(1/2) and 1 with 0 integer bits, k with `fraction_bits`.

    Two ways of normalizing, sqrt(1/2) apart; the smaller r is taken.
    """
    quarter = 1 << (fraction_bits - 2)
    zeros = _leading_zeros(raw)
    halved = rescale(doubling_high_mul(raw << (zeros - 1), SQRT_OF_HALF), 1)
    headroom = _leading_zeros(doubling_high_mul(raw, SQRT_OF_HALF)) - 1
    whole = np.minimum(raw << headroom, ONE)
    power = np.maximum(((integer_bits - zeros) << fraction_bits) + quarter,
                       ((integer_bits - headroom) << fraction_bits) - quarter)
    return np.minimum(halved, whole), power


def _leading_zeros(raw: np.ndarray) -> np.ndarray:
    """Of a positive number in 32 bits."""
    return 32 - np.frexp(np.asarray(raw, np.float64))[1]
