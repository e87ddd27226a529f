"""Where the pixels of a resized image come from, computed in float32 as TensorFlow Lite does.

Sources: kernels/internal/reference/resize_nearest_neighbor.h GetNearestNeighbor; resize_utils.h and
resize_bilinear.h ComputeInterpolationValues.
"""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.quant import round_half_away

HALF = np.float32(0.5)


def _step(size: int, old: int, align_corners: bool) -> np.float32:
    """How far apart pixels of the output lie in the input."""
    if align_corners and size > 1:
        return np.float32(old - 1) / np.float32(size - 1)
    return np.float32(old) / np.float32(size)


def nearest(size: int, old: int, attrs: Mapping[str, object]) -> np.ndarray:
    """For each of `size` rows the row of `old` that it repeats."""
    offset = HALF if attrs["half_pixel_centers"] else np.float32(0)
    exact = (np.arange(size, dtype=np.float32) + offset) * _step(size, old, attrs["align_corners"])
    rows = round_half_away(exact) if attrs["align_corners"] else np.floor(exact)
    return np.clip(rows.astype(np.int64), 0, old - 1)


def neighbours(size: int, old: int, attrs: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `size` rows: the row before it, the row after it, and how far it is from the former.

    The share is float32 and may be below 0 or above 1 where both rows are the border.
    """
    step, places = _step(size, old, attrs["align_corners"]), np.arange(size, dtype=np.float32)
    exact = (places + HALF) * step - HALF if attrs["half_pixel_centers"] else places * step
    low = np.maximum(np.floor(exact).astype(np.int64), 0)
    high = np.minimum(np.ceil(exact).astype(np.int64), old - 1)
    return low, high, exact - low.astype(np.float32)


def resize_bilinear(op: Op, x) -> np.ndarray:
    """Rows first, then columns."""
    for axis, size in enumerate(op.attrs["size"], 1):
        low, high, share = neighbours(size, x.shape[axis], op.attrs)
        share = share.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x
