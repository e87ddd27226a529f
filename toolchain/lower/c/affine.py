"""add and sub of two int8 codes as one multiplication for each: proved on all 65,536 pairs of codes.

    code = clamp((share(a) + share(b) + offset) >> BITS)

where share(x) is about x * scale / output scale * 2**BITS, in the arithmetic of a kernel. TensorFlow Lite's
own way rounds four times; whatever it gives is put in a table here, and weights and offset are sought that
give the same codes. Without them there is no such form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.quant import requantize

BITS = 21
"""Below the point of a sum: with 22, sums of codes far from their zero points leave 32 bits."""
CODES = np.arange(-128, 128, dtype=np.int64)
GAINS = (0, 2**-24, 2**-22, 2**-21, 2**-20, 2**-19, 2**-18, 2**-17, -2**-24, -2**-22)
"""What weights are made larger by, one after the other: halves are rounded away from zero, so that exact ones
need a little more than their share."""
Share = Callable[[int], np.ndarray]
"""Weight -> the share of each code."""


def whole_share(weight: int) -> np.ndarray:
    """That of kernels that keep the whole product in 32 bits."""
    return weight * CODES


@dataclass(frozen=True)
class Form:
    """int32 weights and offset, and the range of the output's codes."""

    a_weight: int
    b_weight: int
    offset: int
    low: int
    high: int


def affine_form(params: Mapping, negative: bool, share: Share, bits: int, near: int = 0) -> Form | None:
    """Of tk_binary_s8_params of an add or, if negative, a sub.

    bits: of a weight below the point;  near: how far beside their values weights are tried too
    """
    codes, reals = _codes(params, negative), _reals(params, negative)
    steps = [(i, j) for i in range(-near, near + 1) for j in range(-near, near + 1)]
    for gain in GAINS:
        a, b = (round(real * (1 + gain) * 2**bits) for real in reals)
        for i, j in sorted(steps, key=lambda step: abs(step[0]) + abs(step[1])):
            if max(abs(a + i), abs(b + j)) < 2**31:
                found = _offset(share(a + i)[:, None] + share(b + j), codes)
                if found is not None:
                    return Form(a + i, b + j, found, int(codes.min()), int(codes.max()))
    return None


def _codes(params: Mapping, negative: bool) -> np.ndarray:
    """The output's code for each pair, (256, 256)."""
    a, b = (requantize((CODES - params[f"{x}_zero_point"]) << 20, params[f"{x}_multiplier"],
                       params[f"{x}_shift"]) for x in "ab")
    total = a[:, None] + (-b if negative else b)
    scaled = requantize(total, params["multiplier"], params["shift"])
    return params["zero_point"] + np.clip(scaled, params["low"], params["high"])


def _reals(params: Mapping, negative: bool) -> tuple[float, float]:
    """What a step of a, and of b, moves the output by."""
    def real(name: str) -> float:
        return params[f"{name}multiplier"] * 2.0 ** (params[f"{name}shift"] - 31)

    return (real("a_") * 2**20 * real(""), real("b_") * 2**20 * real("") * (-1 if negative else 1))


def _offset(shares: np.ndarray, codes: np.ndarray) -> int | None:
    """An offset that brings every pair to its code, None where there is none or a sum leaves 32 bits.

    A pair at the end of the codes' range may lie beyond it.
    """
    low, high = codes.min(), codes.max()
    least = np.where(codes > low, (codes << BITS) - shares, -2**40).max()
    most = np.where(codes < high, (codes + 1 << BITS) - 1 - shares, 2**40).min()
    least, most = max(least, -2**31 - shares.min()), min(most, 2**31 - 1 - shares.max())
    if least > most:
        return None
    offset = int(least + most) // 2
    return offset if -2**31 <= offset < 2**31 else None
