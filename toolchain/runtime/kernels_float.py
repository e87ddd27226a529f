"""The op table on plain numbers. A kernel takes (op, *input arrays) and returns the output array.

Reals are float32; what only moves or compares takes whole numbers and truth values too. Axis 0 holds the
samples (`moving.over_samples`). Meaning of the attributes: TensorFlow Lite's kernels. Average pooling counts
only what lies inside the input.
"""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.runtime import moving, pointwise_float
from toolchain.runtime.pointwise_float import Kernel, activate, arithmetic
from toolchain.runtime.resize import resize_bilinear
from toolchain.runtime.windows import convolution, overlap_add, pad_spatial, taps, window_sizes


def conv2d(op: Op, x, weight, bias) -> np.ndarray:
    y = convolution(pad_spatial(x, op.attrs["pads"], 0), weight, op.attrs)
    return activate(y + bias, op.attrs["activation"])


def depthwise_conv2d(op: Op, x, weight, bias) -> np.ndarray:
    x = pad_spatial(np.repeat(x, op.attrs["multiplier"], axis=-1), op.attrs["pads"], 0)
    y = sum(view * weight[0, i, j] for i, j, view in taps(x, weight.shape[1:3], op.attrs))
    return activate(y + bias, op.attrs["activation"])


def transpose_conv2d(op: Op, x, weight, bias) -> np.ndarray:
    return activate(overlap_add(x, weight, op.attrs) + bias, op.attrs["activation"])


def fully_connected(op: Op, x, weight, bias) -> np.ndarray:
    return activate(x @ weight.T + bias, op.attrs["activation"])


def batch_matmul(op: Op, a, b) -> np.ndarray:
    a = a.swapaxes(-1, -2) if op.attrs["transpose_a"] else a
    return a @ (b.swapaxes(-1, -2) if op.attrs["transpose_b"] else b)


def batch_norm(op: Op, x, gamma, beta, mean, variance) -> np.ndarray:
    factor = gamma / np.sqrt(variance + np.float32(op.attrs["epsilon"]))
    return (x - mean) * factor + beta


def layer_norm(op: Op, x, gamma, beta) -> np.ndarray:
    centred = x - x.mean(axis=op.attrs["axes"], keepdims=True)
    variance = (centred * centred).mean(axis=op.attrs["axes"], keepdims=True)
    return centred / np.sqrt(variance + np.float32(op.attrs["epsilon"])) * gamma + beta


def average_pool2d(op: Op, x) -> np.ndarray:
    padded = pad_spatial(x, op.attrs["pads"], 0)
    total = sum(view for _, _, view in taps(padded, op.attrs["kernel"], op.attrs))
    sizes = window_sizes(x.shape[1:3], op.attrs).astype(np.float32)
    return activate(total / sizes[..., None], op.attrs["activation"])


def max_pool2d(op: Op, x) -> np.ndarray:
    return activate(max_of_windows(op, x, -np.inf), op.attrs["activation"])


def max_of_windows(op: Op, x, lowest) -> np.ndarray:
    """Largest of each window, any dtype; padding holds `lowest`."""
    y = None
    for _, _, view in taps(pad_spatial(x, op.attrs["pads"], lowest), op.attrs["kernel"], op.attrs):
        y = view.copy() if y is None else np.maximum(y, view, out=y)
    return y


def reduction(function: Callable[..., np.ndarray]) -> Kernel:
    """A kernel that folds the op's axes."""
    return lambda op, x: function(x, axis=op.attrs["axes"], keepdims=op.attrs["keepdims"])


def total(x, **over) -> np.ndarray:
    """numpy would widen whole numbers."""
    return x.sum(dtype=x.dtype, **over)


FLOAT: Mapping[str, Kernel] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "transpose_conv2d": transpose_conv2d,
    "fully_connected": fully_connected,
    "batch_matmul": batch_matmul,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "add": arithmetic(np.add),
    "sub": arithmetic(np.subtract),
    "mul": arithmetic(np.multiply),
    "div": arithmetic(pointwise_float.divided),
    "minimum": lambda op, a, b: np.minimum(a, b),
    "maximum": lambda op, a, b: np.maximum(a, b),
    "pow": lambda op, a, b: np.power(a, b),
    "relu": lambda op, x: np.maximum(x, 0),
    "relu6": lambda op, x: np.clip(x, 0, 6),
    "leaky_relu": pointwise_float.leaky_relu,
    "prelu": pointwise_float.prelu,
    "elu": pointwise_float.elu,
    "gelu": pointwise_float.gelu,
    "hard_swish": pointwise_float.hard_swish,
    "softplus": pointwise_float.softplus,
    "logistic": pointwise_float.logistic,
    "tanh": lambda op, x: np.tanh(x),
    "abs": lambda op, x: np.abs(x),
    "neg": lambda op, x: -x,
    "exp": lambda op, x: np.exp(x),
    "log": lambda op, x: np.log(x),
    "sqrt": lambda op, x: np.sqrt(x),
    "rsqrt": lambda op, x: 1 / np.sqrt(x),
    "softmax": pointwise_float.softmax,
    "log_softmax": pointwise_float.log_softmax,
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": reduction(np.mean),
    "sum": reduction(total),
    "reduce_max": reduction(np.max),
    "reduce_min": reduction(np.min),
    "argmax": moving.argmax,
    "resize_nearest": moving.resize_nearest,
    "resize_bilinear": resize_bilinear,
    "depth_to_space": moving.depth_to_space,
    "space_to_depth": moving.space_to_depth,
    "pad": moving.pad,
    "mirror_pad": moving.mirror_pad,
    "concat": moving.concat,
    "slice": moving.slice_,
    "gather": moving.gather,
    "tile": moving.tile,
    "reshape": moving.reshape,
    "transpose": moving.transpose,
    "compare": pointwise_float.compare,
    "logical_and": lambda op, a, b: np.logical_and(a, b),
    "logical_or": lambda op, a, b: np.logical_or(a, b),
    "logical_not": lambda op, x: np.logical_not(x),
    "select": moving.select,
    "cast": lambda op, x: x.astype(op.attrs["to"]),
}
