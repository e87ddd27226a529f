"""Output channels of weighted ops at build time: ranges of their sums, and which code a sum makes.

What every room of kernels asks before it takes a channel: tk_output_s8.h's own arithmetic, over the sums that
the channel's weights allow.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from toolchain.ir.quant import requantize
from toolchain.lower.c.call import Value

INT32 = 2**31


@dataclass(frozen=True)
class Channel:
    """A channel as tk_output_s8.h has it.

    low, high:   codes less the zero point
    least, most: of its sums, without the bias
    """

    bias: int
    multiplier: int
    shift: int
    zero_point: int
    low: int
    high: int
    least: int
    most: int

    def code(self, total: int) -> int:
        """Of a sum that does not wrap."""
        scaled = int(requantize(np.int64(total + self.bias), self.multiplier, self.shift))
        return self.zero_point + min(max(scaled, self.low), self.high)

    def wraps(self) -> bool:
        """Whether 32 bits are too few for some sum with its bias, shifted to the left."""
        return any(not -INT32 <= (total + self.bias) << max(self.shift, 0) < INT32
                   for total in (self.least, self.most))

    def step(self) -> tuple[int, int] | None:
        """(the first sum of the higher code, that code) where all sums make two neighbouring codes at most,
        as with weights that are next to nothing; else None. Of a channel that does not wrap."""
        high = self.code(self.most)
        if high - self.code(self.least) > 1:
            return None
        return self.least + bisect_left(range(self.least, self.most), high, key=self.code), high


def channels_of(weight: np.ndarray, output: Mapping[str, Value]) -> list[Channel]:
    """weight: int8 (channels, products); output: tk_output_s8_params."""
    columns = (output[name].data.tolist() for name in ("bias", "multiplier", "shift"))
    limits = output["zero_point"], output["low"], output["high"]
    ends = zip(*(end.tolist() for end in sum_range(weight)), strict=True)
    return [Channel(*scale, *limits, *end) for *scale, end in zip(*columns, ends, strict=True)]


def sum_range(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest sum of products with int8 codes. weight: (channels, products) -> int64 (channels,)"""
    ends = [weight.astype(np.int64) * code for code in (-128, 127)]
    return np.minimum(*ends).sum(axis=1), np.maximum(*ends).sum(axis=1)


def output_codes(output: Mapping[str, Value]) -> dict[str, int]:
    """low and high as codes, which the parameters of portable kernels have less the zero point."""
    return {end: output["zero_point"] + output[end] for end in ("low", "high")}


def filled(values: np.ndarray, *multiples: int) -> np.ndarray:
    """With zeros at the end of each axis up to a multiple; axes without one stay."""
    return np.pad(values, [(0, -size % multiple)
                           for size, multiple in zip_longest(values.shape, multiples, fillvalue=1)])
