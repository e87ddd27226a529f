"""The op table in float32. A kernel takes (op, *input arrays) and returns the output array.

Meaning of the attributes: TensorFlow Lite's kernels. Average pooling counts only what lies inside the input.
"""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.quant import ACTIVATION_RANGE
from toolchain.runtime.windows import pad_spatial, patches, taps, window_sizes

Kernel = Callable[..., np.ndarray]


def activate(y: np.ndarray, activation: str | None) -> np.ndarray:
    """Clamp in place to the fused activation's range."""
    low, high = ACTIVATION_RANGE[activation]
    return y if low is high is None else np.clip(y, low, high, out=y)


def conv2d(op: Op, x, weight, bias) -> np.ndarray:
    rows = patches(pad_spatial(x, op.attrs["pads"], 0), weight.shape[1:3], op.attrs)
    return activate(rows @ weight.reshape(len(weight), -1).T + bias, op.attrs["activation"])


def depthwise_conv2d(op: Op, x, weight, bias) -> np.ndarray:
    x = pad_spatial(np.repeat(x, op.attrs["multiplier"], axis=-1), op.attrs["pads"], 0)
    y = sum(view * weight[0, i, j] for i, j, view in taps(x, weight.shape[1:3], op.attrs))
    return activate(y + bias, op.attrs["activation"])


def fully_connected(op: Op, x, weight, bias) -> np.ndarray:
    return activate(x @ weight.T + bias, op.attrs["activation"])


def batch_norm(op: Op, x, gamma, beta, mean, variance) -> np.ndarray:
    factor = gamma / np.sqrt(variance + np.float32(op.attrs["epsilon"]))
    return (x - mean) * factor + beta


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


def mean(op: Op, x) -> np.ndarray:
    return x.mean(axis=op.attrs["axes"], keepdims=op.attrs["keepdims"], dtype=np.float32)


def logistic(op: Op, x) -> np.ndarray:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softmax(op: Op, x) -> np.ndarray:
    y = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(op.attrs["beta"]))
    return y / y.sum(axis=-1, keepdims=True)


def concat(op: Op, *xs) -> np.ndarray:
    """A constant among the inputs is repeated for every sample."""
    count = max(map(len, xs))
    return np.concatenate([np.broadcast_to(x, (count, *x.shape[1:])) for x in xs], axis=op.attrs["axis"])


def reshape(op: Op, x) -> np.ndarray:
    """A leading 1 is the batch and becomes as many samples as there are."""
    shape = op.attrs["shape"]
    return x.reshape(-1, *shape[1:]) if shape[:1] == (1,) else x.reshape(shape)


def transpose(op: Op, x) -> np.ndarray:
    return x.transpose(op.attrs["perm"])


FLOAT: Mapping[str, Kernel] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "batch_norm": batch_norm,
    "add": lambda op, a, b: activate(a + b, op.attrs["activation"]),
    "sub": lambda op, a, b: activate(a - b, op.attrs["activation"]),
    "mul": lambda op, a, b: activate(a * b, op.attrs["activation"]),
    "relu": lambda op, x: np.maximum(x, 0),
    "relu6": lambda op, x: np.clip(x, 0, 6),
    "leaky_relu": lambda op, x: np.where(x > 0, x, x * np.float32(op.attrs["alpha"])),
    "logistic": logistic,
    "tanh": lambda op, x: np.tanh(x),
    "softmax": softmax,
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": mean,
    "pad": lambda op, x: np.pad(x, op.attrs["pads"]),
    "concat": concat,
    "reshape": reshape,
    "transpose": transpose,
}
