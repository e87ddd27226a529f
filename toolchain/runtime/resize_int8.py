"""resize_bilinear in integers, with 10 fraction bits. Kernels as in kernels_int8.py."""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.quant import divide_by_power_of_two
from toolchain.runtime.codes import expect_same

BITS = 10
ONE = 1 << BITS


def step_and_start(size: int, old: int, attrs: Mapping[str, object]) -> tuple[int, int]:
    """How far apart rows of the output lie in the input, and where the first one does, in 1 / ONE rows."""
    if attrs["align_corners"] and size > 1:
        step = (ONE * (old - 1) + (size - 1) // 2) // (size - 1)
    else:
        step = (ONE * old + size // 2) // size
    return step, step // 2 - ONE // 2 if attrs["half_pixel_centers"] else 0


def neighbours(size: int, old: int, attrs: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `size` rows: the row before it, the row after it, how far it is from the former in 1 / ONE.

    TFLite reads beyond the input where a very fine step, rounded up, leads there; here the last row is taken.
    """
    step, start = step_and_start(size, old, attrs)
    exact = np.clip(np.arange(size, dtype=np.int64) * step + start, 0, (old - 1) * ONE)
    low = exact >> BITS
    return low, np.minimum(low + 1, old - 1), exact - (low << BITS)


def resize_bilinear(op, codes, quants, out) -> np.ndarray:
    """reference/resize_bilinear.h ResizeBilinearInteger: the four pixels around, halves away from zero."""
    expect_same(op, quants, out)
    x = codes[0].astype(np.int32)
    for axis, size in enumerate(op.attrs["size"], 1):
        low, high, share = neighbours(size, x.shape[axis], op.attrs)
        share = share.reshape(-1, *(1,) * (x.ndim - 1 - axis)).astype(np.int32)
        x = np.take(x, low, axis) * (ONE - share) + np.take(x, high, axis) * share
    return divide_by_power_of_two(x, 2 * BITS).astype(np.int8)
