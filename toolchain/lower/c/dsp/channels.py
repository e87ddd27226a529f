"""How DSP kernels scale one depthwise channel: 256 times its sum, one multiplication, one shift.

    code = ((256 * sum + bias) * multiplier / 2**32 + offset(shift, code)) / 2**shift     both rounded down

tk_depthwise_s8_dsp.h has the offset. It is tk_output_s8.h's code for every sum that the weights allow, which
is made sure here for each channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.quant import requantize

INT32 = 2**31
CUT = 7
"""Bits below the point that 256 / 2**32 leaves beside the 2**31 of the multiplier."""
STEEP = 2**8
"""Multiplier of a channel with one step: 256 times a sum, times this, moves by 1 / 2**16 of a code."""


@dataclass(frozen=True)
class Channel:
    """What the kernel's record holds; code: what is added at the end."""

    bias: int
    multiplier: int
    shift: int
    code: int


@dataclass(frozen=True)
class Portable:
    """A channel as tk_output_s8.h has it.

    low, high:   codes less the zero point
    least, most: of its sums
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


def portable_channels(weights: np.ndarray, output: Mapping) -> list[Portable]:
    """weights: int8 [channels, taps]; output: tk_output_s8_params."""
    wide = weights.astype(np.int64)
    least, most = (np.where(wide * 127 < wide * -128, *ends).sum(axis=1)
                   for ends in ((wide * 127, wide * -128), (wide * -128, wide * 127)))
    columns = (output[name].data.tolist() for name in ("bias", "multiplier", "shift"))
    limits = output["zero_point"], output["low"], output["high"]
    return [Portable(*scale, *limits, *ends)
            for *scale, ends in zip(*columns, zip(least.tolist(), most.tolist()), strict=True)]


def channel_of(found: Portable) -> Channel | None:
    """None where neither form is exact."""
    if found.wraps():
        return None
    return _scaled(found) or _stepping(found)


def _scaled(found: Portable) -> Channel | None:
    """By its own multiplier, if nothing wraps on the way."""
    shift, bias = CUT - found.shift, 256 * found.bias
    if not 1 <= shift <= 24:
        return None
    ends = [256 * total + bias for total in (found.least, found.most)]
    offset = (1 << (shift - 1)) + (64 if shift > CUT else 0) + (found.zero_point << shift)
    values = [(end * found.multiplier >> 32) + offset + spare for end in ends for spare in (-128, 0)]
    fits = all(-INT32 <= value < INT32 for value in (bias, offset, *ends, *values))
    return Channel(bias, found.multiplier, shift, found.zero_point) if fits else None


def _stepping(found: Portable) -> Channel | None:
    """A bias that dwarfs the sums, as channels whose weights are next to nothing have: two codes at most.

    The value is below -64 for sums below the first that gives the higher code, and not for others.
    """
    low, high = found.code(found.least), found.code(found.most)
    if high - low > 1 or found.most - found.least >= 2**22:
        return None
    below, above = (found.least - 1, found.most) if low < high else (found.least - 1, found.least)
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if found.code(middle) < high else (below, middle)
    bias = -256 * above - 64 * 2**32 // STEEP
    return Channel(bias, STEEP, CUT, high) if -INT32 <= bias < INT32 else None
