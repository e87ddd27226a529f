"""A layer with weights as matrix products: rows of its inputs times a matrix of its weight.

G groups of output channels read different inputs: 1 for dense kinds, C for a depthwise convolution. In each,
K = kh * kw * (input channels of the group) weights make one output channel. A padded tap is an exact 0.
"""

from math import prod

import numpy as np

from toolchain.ir.graph import Op, Shape
from toolchain.runtime.windows import pad_spatial, patches


def group_count(op: Op, x: Shape, weight: Shape) -> int:
    """G, for an input and a weight of these shapes."""
    if op.kind == "depthwise_conv2d":
        return x[-1]
    return x[-1] // weight[-1] if op.kind == "conv2d" else 1


def to_matrix(op: Op, weight: np.ndarray, groups: int) -> np.ndarray:
    """(G, output channels of a group, K) of a weight in its op's layout."""
    if op.kind == "depthwise_conv2d":
        return weight.reshape(-1, groups, weight.shape[-1] // groups).transpose(1, 2, 0)
    return weight.reshape(groups, weight.shape[0] // groups, -1)


def from_matrix(op: Op, matrix: np.ndarray, shape: Shape) -> np.ndarray:
    """The weight of that shape whose `to_matrix` is `matrix`."""
    return (matrix.transpose(2, 0, 1) if op.kind == "depthwise_conv2d" else matrix).reshape(shape)


def to_rows(op: Op, x: np.ndarray, weight: Shape) -> np.ndarray:
    """(G, rows, K) of inputs (N, ...): rows @ matrix.T are the layer's sums, one row for each place of the
    output."""
    if op.kind == "fully_connected":
        return x.reshape(1, -1, weight[1])
    kernel = tuple(weight[1:3])
    if op.kind == "transpose_conv2d":
        return _stretched_rows(op, x, kernel)
    groups = group_count(op, x.shape, weight)
    images = pad_spatial(_by_group(x, groups), op.attrs["pads"], 0)
    return patches(images, kernel, op.attrs).reshape(groups, -1, prod(kernel) * images.shape[-1])


def _by_group(x: np.ndarray, groups: int) -> np.ndarray:
    """(G * N, H, W, channels of a group) of images (N, H, W, C)."""
    if groups == 1:
        return x
    n, h, w, c = x.shape
    split = x.reshape(n, h, w, groups, c // groups).transpose(3, 0, 1, 2, 4)
    return split.reshape(groups * n, h, w, c // groups)


def _stretched_rows(op: Op, x: np.ndarray, kernel: tuple[int, int]) -> np.ndarray:
    """A transposed convolution is a convolution of the pixels set `stride` apart, with the kernel turned by
    180 degrees and kernel - 1 - pads at the borders (Dumoulin and Visin 2016, section 4.6)."""
    n, h, w, c = x.shape
    stride_h, stride_w = op.attrs["stride"]
    stretched = np.zeros((n, (h - 1) * stride_h + 1, (w - 1) * stride_w + 1, c), x.dtype)
    stretched[:, ::stride_h, ::stride_w] = x
    sizes = (kernel[0], kernel[0], kernel[1], kernel[1])
    border = [size - 1 - pad for size, pad in zip(sizes, op.attrs["pads"])]
    padded = pad_spatial(stretched, tuple(max(size, 0) for size in border), 0)
    top, bottom, left, right = (max(-size, 0) for size in border)
    cut = padded[:, top:padded.shape[1] - bottom, left:padded.shape[2] - right]
    turned = patches(cut, kernel, {"stride": (1, 1)})
    return turned.reshape(-1, prod(kernel), c)[:, ::-1].reshape(1, -1, prod(kernel) * c)
