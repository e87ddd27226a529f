"""What the int8 kernels share: how one ends (requantize and clamp), and what its output must look like."""

from collections.abc import Callable, Sequence

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Op
from toolchain.ir.quant import QuantParams, clamp_range, requantize
from toolchain.runtime import multipliers

BLOCK = 1 << 15
"""Accumulators requantized at once: few enough that int64 temporaries stay in the cache."""


def finish(accumulator: np.ndarray, offset, multiplier, shift, out: QuantParams, activation=None):
    """Codes clamp(zero_point + (accumulator + offset) * multiplier * 2**(shift - 31)).

    accumulator: whole numbers, any dtype; offset, multiplier, shift: one, or one per channel of the last axis
    """
    low, high = clamp_range(activation, out)
    rows = accumulator.reshape(-1, accumulator.shape[-1])
    codes = np.empty(rows.shape, out.dtype)
    step = max(1, BLOCK // rows.shape[1])
    for start in range(0, len(rows), step):
        block = rows[start:start + step].astype(np.int64) + offset
        scaled = requantize(block, multiplier, shift) + int(out.zero_point)
        codes[start:start + step] = np.clip(scaled, low, high)
    return codes.reshape(accumulator.shape)


def by_table(codes: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply `function` (int64 codes -> values) to all 256 codes once and look the rest up."""
    every = np.arange(256, dtype=np.uint8).view(codes.dtype)
    return function(every.astype(np.int64))[codes.view(np.uint8)]


def rescaled(codes: np.ndarray, quant: QuantParams, out: QuantParams, activation: str | None = None):
    """The same reals at the output's scale, clamped."""
    multiplier, shift = multipliers.ratio(quant, out)

    def requantized(each):
        return finish(each, -int(quant.zero_point), multiplier, shift, out, activation)

    return by_table(codes, requantized) if codes.itemsize == 1 else requantized(codes)


def expect_output(op: Op, out: QuantParams, scale: float, zero_point: int) -> None:
    """Raises Unsupported where the output is not at the one scale that the kernel gives."""
    if (out.scale, out.zero_point) != (scale, zero_point):
        raise Unsupported(
            f"{op.name}: int8 {op.kind} gives codes at scale {scale}, zero point {zero_point}; the tensor "
            f"has {out.scale}, {out.zero_point}. Put a quantize op behind it")


def expect_same(op: Op, quants: Sequence[QuantParams], out: QuantParams) -> None:
    """Raises Unsupported where a kernel that hands codes on would change what they mean.

    What is no code (indices, conditions) has no parameters.
    """
    for name, quant in zip(op.inputs, quants, strict=True):
        if quant is not None and not out.same_as(quant):
            raise Unsupported(
                f"{op.name}: int8 {op.kind} hands codes on as they are, but {name} has scale {quant.scale}, "
                f"zero point {quant.zero_point} and the output {out.scale}, {out.zero_point}. "
                f"Put a quantize op between")
