"""Curves of 16-bit codes by interpolated tables, as TensorFlow Lite's kernels have them. int64 in and out.

Sources: kernels/internal/common.h (LUTPopulate, LUTLookup), reference/integer_ops/{logistic,tanh}.h and
micro/kernels/{logistic,tanh}_common.cc.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from toolchain.ir.quant import round_half_away

ENTRIES = 513
CURVE_ENTRIES = 256
STEPS_PER_UNIT = 24
"""The sigmoid table has an entry every 1 / 24."""
ONE_ABOVE = (4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43,
             44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255)
"""Entries of TFLite's sigmoid table that are 1 more than the rounded sigmoid, as its kernels' codes show."""


def _interpolated(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    """513 entries over [low, high] in Q15, each moved by half the error in the middle of its interval.

    In float32, as TFLite Micro computes them; LiteRT has doubles, and a few entries that are 1 off.
    """
    low, high, one = np.float32(low), np.float32(high), np.float32(32768)
    step = (high - low) / np.float32(ENTRIES - 1)
    at = low + np.arange(ENTRIES, dtype=np.float32) * step
    exact = function(at) * one
    samples = round_half_away(exact)
    between = round_half_away((exact[1:] + samples[:-1]) / np.float32(2))
    middle = round_half_away(function(at[:-1] + step / np.float32(2)) * one)
    table = np.append(samples[:-1] - round_half_away((between - middle) / np.float32(2)), samples[-1])
    return np.clip(table, -32768, 32767).astype(np.int64)


@cache
def exp_table() -> np.ndarray:
    return _interpolated(np.exp, -10.0, 0.0)


@cache
def reciprocal_table() -> np.ndarray:
    return _interpolated(lambda x: np.float32(1) / (np.float32(1) + x), 0.0, 1.0)


def _look_up(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The table over int16 codes; 128 codes to an interval."""
    codes = np.clip(codes, -32768, 32767)
    index, offset = 256 + (codes >> 7), codes & 0x7F
    slope = table[index + 1] - table[index]
    return table[index] + ((slope * offset + 64) >> 7)


def exp(codes: np.ndarray) -> np.ndarray:
    """exp(x) in Q15 for codes that run over [-10, 0]."""
    return _look_up(codes, exp_table())


def reciprocal(codes: np.ndarray) -> np.ndarray:
    """1 / (1 + x) in Q15 for codes that run over [0, 1]."""
    return _look_up(codes, reciprocal_table())


@cache
def sigmoid_table() -> np.ndarray:
    """sigmoid(i / STEPS_PER_UNIT) in Q16."""
    x = np.arange(CURVE_ENTRIES) / STEPS_PER_UNIT
    table = np.minimum(round_half_away(65536 / (1 + np.exp(-x))), 65535).astype(np.int64)
    table[list(ONE_ABOVE)] += 1
    return table


def _curve(codes: np.ndarray, scale: float) -> np.ndarray:
    """x in steps of 1 / (3 * 4096)."""
    multiplier, shift = curve_pair(scale)
    return (codes * multiplier + ((1 << shift) >> 1)) >> shift


def curve_pair(scale: float) -> tuple[int, int]:
    """Multiplier, of 15 bits, and shift to the right from a scale to 1 / (3 * 4096); exact at 1 / 4096."""
    if scale == 2.0**-12:
        return 3, 0
    multiplier, shift = scale * 4096 * 3, 0
    while multiplier <= 32767 / 2 and shift <= 30:
        multiplier, shift = 2 * multiplier, shift + 1
    return int(multiplier), shift


def _between(x: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """(table at |x| >> bits, interpolated, in steps of 2**-bits; whether |x| is beyond the table)."""
    table, at = sigmoid_table(), np.abs(x) >> bits
    index = np.minimum(at, CURVE_ENTRIES - 2)
    rest = np.abs(x) & ((1 << bits) - 1)
    return (table[index] << bits) + rest * (table[index + 1] - table[index]), at >= CURVE_ENTRIES - 1


def logistic(codes: np.ndarray, scale: float) -> np.ndarray:
    """Codes of the sigmoid at scale 1 / 32768."""
    x = _curve(codes, scale)
    inside, beyond = _between(x, 9)
    y = np.where(beyond, 0x7FFF << 10, inside)
    return np.where(x >= 0, y + (1 << 9), (1 << 25) - y + (1 << 9) - 1) >> 10


def tanh(codes: np.ndarray, scale: float) -> np.ndarray:
    """Codes of tanh at scale 1 / 32768: 2 * sigmoid(2 * x) - 1."""
    x = _curve(codes, scale)
    inside, beyond = _between(x, 8)
    y = np.where(beyond, 0xFFFF << 8, inside)
    return np.where(x >= 0, y - (1 << 23) + (1 << 7), -y + (1 << 23) + (1 << 7) - 1) >> 8
