"""Kernels that only move values, for any dtype: reals, whole numbers, truth values, codes of one scale.

A kernel takes (op, *input arrays) and returns the output array. Axis 0 holds the samples; a `slice` and a
`reshape` mean it literally, so that a batch needs `over_samples` first.
"""

from dataclasses import replace

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.graph import Op
from toolchain.runtime.resize import nearest


def over_samples(op: Op, count: int) -> Op:
    """The op as it has to be told for `count` samples on axis 0, where the graph has 1."""
    if op.kind == "reshape":
        return replace(op, attrs={**op.attrs, "shape": (count, *op.attrs["shape"][1:])})
    if op.kind == "slice":
        return replace(op, attrs={**op.attrs, "end": (count, *op.attrs["end"][1:])})
    return op


def concat(op: Op, *xs) -> np.ndarray:
    """A constant among the inputs is repeated for every sample."""
    count = max(map(len, xs))
    return np.concatenate([np.broadcast_to(x, (count, *x.shape[1:])) for x in xs], axis=op.attrs["axis"])


def reshape(op: Op, x) -> np.ndarray:
    return x.reshape(op.attrs["shape"])


def transpose(op: Op, x) -> np.ndarray:
    return x.transpose(op.attrs["perm"])


def pad(op: Op, x) -> np.ndarray:
    return np.pad(x, op.attrs["pads"], constant_values=np.asarray(op.attrs["value"]).astype(x.dtype))


def mirror_pad(op: Op, x) -> np.ndarray:
    return np.pad(x, op.attrs["pads"], op.attrs["mode"])


def slice_(op: Op, x) -> np.ndarray:
    return x[tuple(map(slice, op.attrs["begin"], op.attrs["end"], op.attrs["strides"]))]


def gather(op: Op, x, indices) -> np.ndarray:
    """Raises BadSamples for an index outside the axis."""
    axis = op.attrs["axis"]
    low, high = indices.min(), indices.max()
    if low < 0 or high >= x.shape[axis]:
        raise BadSamples(f"{op.name}: gather of index {low if low < 0 else high}, but {op.inputs[0]} has "
                         f"0 to {x.shape[axis] - 1}; look at the tokens that go in")
    return np.take(x, indices, axis)


def tile(op: Op, x) -> np.ndarray:
    return np.tile(x, op.attrs["multiples"])


def depth_to_space(op: Op, x) -> np.ndarray:
    """Channel (i * block + j) * C + c of a pixel goes to row i, column j of its block (ONNX: DCR)."""
    n, h, w, c = x.shape
    block = op.attrs["block"]
    blocks = x.reshape(n, h, w, block, block, c // block**2)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, c // block**2)


def space_to_depth(op: Op, x) -> np.ndarray:
    """The inverse of `depth_to_space`."""
    n, h, w, c = x.shape
    block = op.attrs["block"]
    blocks = x.reshape(n, h // block, block, w // block, block, c)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, block**2 * c)


def resize_nearest(op: Op, x) -> np.ndarray:
    rows, columns = (nearest(size, n, op.attrs) for size, n in zip(op.attrs["size"], x.shape[1:3]))
    return x[:, rows[:, None], columns]


def argmax(op: Op, x) -> np.ndarray:
    """The first of equals."""
    return x.argmax(axis=op.attrs["axis"]).astype(op.attrs["to"])


def select(op: Op, condition, a, b) -> np.ndarray:
    return np.where(condition, a, b)
