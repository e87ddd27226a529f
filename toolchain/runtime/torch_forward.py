"""What torch computes for each kind of the op table. A function takes (module, op, inputs) and returns the
output, all in the Graph's layout, samples on axis 0.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from toolchain.ir.graph import Op
from toolchain.runtime.resize import nearest, neighbours

Parts = list[torch.Tensor]
Forward = Callable[[nn.Module, Op, Parts], torch.Tensor]


# Windows ----------------------------------------------------------------------------------------------------

def to_torch(x: torch.Tensor) -> torch.Tensor:
    """[N, H, W, C] seen as [N, C, H, W]; a weight [O, h, w, I] as [O, I, h, w]."""
    return x.permute(0, 3, 1, 2)


def from_torch(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def activate(op: Op, x: torch.Tensor) -> torch.Tensor:
    return {None: lambda y: y, "relu": functional.relu, "relu6": functional.relu6}[op.attrs["activation"]](x)


def pad_spatial(x: torch.Tensor, op: Op, value: float) -> torch.Tensor:
    """[N, C, H, W] with the op's pads around it."""
    top, bottom, left, right = op.attrs["pads"]
    return functional.pad(x, (left, right, top, bottom), value=value) if any(op.attrs["pads"]) else x


def convolve(op: Op, x, weight, bias, groups: int) -> torch.Tensor:
    """x in the Graph's layout, the weight in torch's."""
    top, bottom, left, right = op.attrs["pads"]
    x, pads = to_torch(x), (top, left)
    if (top, left) != (bottom, right):
        x, pads = pad_spatial(x, op, 0.0), (0, 0)
    y = functional.conv2d(x, weight, bias, op.attrs["stride"], pads, op.attrs["dilation"], groups)
    return activate(op, from_torch(y))


def conv2d(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x, weight, bias = parts
    return convolve(op, x, to_torch(weight), bias, x.shape[-1] // weight.shape[-1])


def depthwise_conv2d(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """[1, h, w, C * multiplier] is torch's [C * multiplier, 1, h, w], in the same order."""
    x, weight, bias = parts
    return convolve(op, x, weight.permute(3, 0, 1, 2), bias, x.shape[-1])


def transpose_conv2d(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """The whole output, cut by the pads; what a pad below 0 adds is the bias alone."""
    x, weight, bias = parts
    top, bottom, left, right = op.attrs["pads"]
    y = functional.conv_transpose2d(to_torch(x), weight.permute(3, 0, 1, 2), None, op.attrs["stride"])
    return activate(op, from_torch(functional.pad(y, (-left, -right, -top, -bottom))) + bias)


# Matrices and normalization ---------------------------------------------------------------------------------

def fully_connected(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return activate(op, functional.linear(*parts))


def batch_matmul(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    a, b = (part.mT if op.attrs[f"transpose_{side}"] else part for side, part in zip("ab", parts))
    return a @ b


def batch_norm(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x, gamma, beta, mean, variance = parts
    momentum = 1 / max(module.batches, 1) if module.momentum is None else module.momentum
    y = to_torch(x) if x.ndim == 4 else x.reshape(-1, x.shape[-1])
    y = functional.batch_norm(y, mean, variance, gamma, beta, module.training, momentum, op.attrs["epsilon"])
    return from_torch(y) if x.ndim == 4 else y.reshape(x.shape)


def layer_norm(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x, gamma, beta = parts
    variance, mean = torch.var_mean(x, op.attrs["axes"], correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + op.attrs["epsilon"]) * gamma + beta


# Element by element -----------------------------------------------------------------------------------------

def binary(function: Callable[..., torch.Tensor]) -> Forward:
    """With a fused activation."""
    return lambda module, op, parts: activate(op, function(*parts))


def plain(function: Callable[..., torch.Tensor]) -> Forward:
    """Of a function that needs no attributes."""
    return lambda module, op, parts: function(*parts)


def divided(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def leaky_relu(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return functional.leaky_relu(*parts, op.attrs["alpha"])


def prelu(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x, alpha = parts
    return torch.where(x > 0, x, x * alpha)


def gelu(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return functional.gelu(*parts, approximate="tanh" if op.attrs["approximate"] else "none")


def softmax(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return functional.softmax(parts[0] * op.attrs["beta"], -1)


def compare(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return RELATION[op.attrs["relation"]](*parts)


def cast(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].to(getattr(torch, op.attrs["to"]))


RELATION = {"equal": torch.eq, "not_equal": torch.ne, "less": torch.lt, "less_equal": torch.le,
            "greater": torch.gt, "greater_equal": torch.ge}


# Pooling and reduction --------------------------------------------------------------------------------------

def max_pool2d(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x = pad_spatial(to_torch(parts[0]), op, -torch.inf)
    return activate(op, from_torch(functional.max_pool2d(x, op.attrs["kernel"], op.attrs["stride"])))


def average_pool2d(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """The mean of what lies inside the input: that of the padded window over the share that is inside."""
    x = to_torch(parts[0])
    y = functional.avg_pool2d(pad_spatial(x, op, 0.0), op.attrs["kernel"], op.attrs["stride"])
    if any(op.attrs["pads"]):
        inside = pad_spatial(torch.ones_like(x[:1, :1]), op, 0.0)
        y = y / functional.avg_pool2d(inside, op.attrs["kernel"], op.attrs["stride"])
    return activate(op, from_torch(y))


def reduction(function: Callable[..., torch.Tensor]) -> Forward:
    return lambda module, op, parts: function(parts[0], op.attrs["axes"], keepdim=op.attrs["keepdims"])


def argmax(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].argmax(op.attrs["axis"]).to(getattr(torch, op.attrs["to"]))


# Moving data ------------------------------------------------------------------------------------------------

def picked(x: torch.Tensor, axis: int, index: np.ndarray) -> torch.Tensor:
    return x.index_select(axis, torch.from_numpy(index).to(x.device))


def resize_nearest(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x = parts[0]
    for axis, size in enumerate(op.attrs["size"], 1):
        x = picked(x, axis, nearest(size, x.shape[axis], op.attrs))
    return x


def resize_bilinear(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x = parts[0]
    for axis, size in enumerate(op.attrs["size"], 1):
        low, high, share = neighbours(size, x.shape[axis], op.attrs)
        share = torch.from_numpy(share).to(x.device).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        x = picked(x, axis, low) * (1 - share) + picked(x, axis, high) * share
    return x


def depth_to_space(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    (n, h, w, c), block = parts[0].shape, op.attrs["block"]
    blocks = parts[0].reshape(n, h, w, block, block, c // block**2)
    return blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, c // block**2)


def space_to_depth(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    (n, h, w, c), block = parts[0].shape, op.attrs["block"]
    blocks = parts[0].reshape(n, h // block, block, w // block, block, c)
    return blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, c * block**2)


def pad(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """torch lists (before, after) from the last axis backwards."""
    pads = [n for pair in reversed(op.attrs["pads"]) for n in pair]
    return functional.pad(parts[0], pads, value=op.attrs["value"])


def mirror_pad(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x = parts[0]
    for axis, pads in enumerate(op.attrs["pads"]):
        if any(pads):
            x = picked(x, axis, np.pad(np.arange(x.shape[axis]), pads, op.attrs["mode"]))
    return x


def concat(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """A constant among the parts has one sample and serves every sample."""
    count = max(len(part) for part in parts)
    return torch.cat([part.expand(count, *part.shape[1:]) for part in parts], op.attrs["axis"])


def slice_(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """All samples of axis 0."""
    bounds = zip(op.attrs["begin"][1:], op.attrs["end"][1:], op.attrs["strides"][1:])
    return parts[0][(slice(None), *(slice(*bound) for bound in bounds))]


def gather(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    x, indices = parts
    return x[(*[slice(None)] * op.attrs["axis"], indices)]


def tile(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].repeat(op.attrs["multiples"])


def reshape(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    """The leading 1 of the shape stands for the samples."""
    return parts[0].reshape(len(parts[0]), *op.attrs["shape"][1:])


def transpose(module: nn.Module, op: Op, parts: Parts) -> torch.Tensor:
    return parts[0].permute(op.attrs["perm"])


FORWARD: Mapping[str, Forward] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "transpose_conv2d": transpose_conv2d,
    "fully_connected": fully_connected,
    "batch_matmul": batch_matmul,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "add": binary(torch.add),
    "sub": binary(torch.sub),
    "mul": binary(torch.mul),
    "div": binary(divided),
    "minimum": plain(torch.minimum),
    "maximum": plain(torch.maximum),
    "pow": plain(torch.pow),
    "relu": plain(functional.relu),
    "relu6": plain(functional.relu6),
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "elu": plain(functional.elu),
    "gelu": gelu,
    "hard_swish": plain(functional.hardswish),
    "softplus": plain(functional.softplus),
    "logistic": plain(torch.sigmoid),
    "tanh": plain(torch.tanh),
    "abs": plain(torch.abs),
    "neg": plain(torch.neg),
    "exp": plain(torch.exp),
    "log": plain(torch.log),
    "sqrt": plain(torch.sqrt),
    "rsqrt": plain(torch.rsqrt),
    "softmax": softmax,
    "log_softmax": lambda module, op, parts: functional.log_softmax(parts[0], -1),
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": reduction(torch.mean),
    "sum": reduction(torch.sum),
    "reduce_max": reduction(torch.amax),
    "reduce_min": reduction(torch.amin),
    "argmax": argmax,
    "resize_nearest": resize_nearest,
    "resize_bilinear": resize_bilinear,
    "depth_to_space": depth_to_space,
    "space_to_depth": space_to_depth,
    "pad": pad,
    "mirror_pad": mirror_pad,
    "concat": concat,
    "slice": slice_,
    "gather": gather,
    "tile": tile,
    "reshape": reshape,
    "transpose": transpose,
    "compare": compare,
    "logical_and": plain(torch.logical_and),
    "logical_or": plain(torch.logical_or),
    "logical_not": plain(torch.logical_not),
    "select": plain(torch.where),
    "cast": cast,
}
