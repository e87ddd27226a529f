"""ATen calls as Graph ops: one rule per call that torch.export leaves in a network.

Literal: what the source has channels first is transposed to channels last before an op that needs it so,
and back after. Names that hold ':' are this scaffolding; what holds the call's result carries the plain name.
Meaning of the arguments: PyTorch documentation, torch.nn.functional.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.load.aten_call import (
    Call,
    Constant,
    activation,
    constant,
    from_image,
    pair,
    spatial_axes,
    to_image,
)

# Convolutions and linear layers -----------------------------------------------------------------------------

def convolution(call: Call) -> str:
    x, weight = activation(call, "input"), constant(call, "weight")
    spatial, channels = spatial_axes(call, x), call.shape(x)[1]
    image = to_image(call, x)
    kernel = weight.array if spatial == 2 else weight.array[:, :, None]
    attrs = {"stride": pair(call["stride"], spatial, 1), "dilation": pair(call["dilation"], spatial, 1)}
    attrs["pads"] = _conv_pads(call, spatial, kernel.shape[2:], attrs["dilation"])
    bias = call.vector(call["bias"], len(kernel), 0.0, "bias")
    if call["groups"] == 1:
        weights = call.weight(weight, "conv2d", kernel.transpose(0, 2, 3, 1), "weight")
        return from_image(call, call.emit("conv2d", [image, weights, bias], "conv2d", **attrs))
    call.require(call["groups"] == channels,
                 f"groups={call['groups']} of {channels} channels; only groups=1 and depthwise "
                 f"(groups={channels}) have a row")
    weights = call.weight(weight, "depthwise", kernel.transpose(1, 2, 3, 0), "weight")
    attrs["multiplier"] = len(kernel) // channels
    return from_image(call, call.emit("depthwise_conv2d", [image, weights, bias], "depthwise", **attrs))


def _conv_pads(call: Call, spatial: int, kernel, dilation) -> tuple[int, int, int, int]:
    """(top, bottom, left, right); padding="same" puts the odd one after, as torch does."""
    padding = call["padding"]
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation)]
        (top, left) = (total // 2 for total in totals)
        return top, totals[0] - top, left, totals[1] - left
    high, wide = (0, 0) if padding == "valid" else pair(padding, spatial, 0)
    return high, high, wide, wide


def linear(call: Call) -> str:
    return _matrix(call, activation(call, "input"), constant(call, "weight"), call["bias"], transposed=False)


def matmul(call: Call) -> str:
    return _matrix(call, activation(call), constant(call, "other" if "other" in call.args else "mat2"), None)


def addmm(call: Call) -> str:
    call.require(call["beta"] == 1 and call["alpha"] == 1,
                 f"beta={call['beta']}, alpha={call['alpha']}; only 1 and 1 have a row")
    return _matrix(call, activation(call, "mat1"), constant(call, "mat2"), constant(call, "self"))


def _matrix(call: Call, x: str, weight: Constant, bias: Constant | None, transposed: bool = True) -> str:
    """x @ w + b on the last axis. [N, I] goes through fully_connected, longer shapes through a 1x1 conv2d."""
    rank = len(call.shape(x))
    call.require(weight.array.ndim == 2 and 2 <= rank <= 4,
                 f"shapes {call.shape(x)} and {weight.array.shape}; only [N, ..., I] with a matrix has a row")
    rows = weight.array.T if transposed else weight.array
    layout = "rows" if transposed else "as it is"
    b = call.vector(bias, len(rows), 0.0, "bias")
    if rank == 2:
        return call.emit("fully_connected", [x, call.weight(weight, layout, rows, "weight"), b])
    w = call.weight(weight, layout + " 1x1", rows[:, None, None, :], "weight")
    if rank == 4:
        return call.emit("conv2d", [x, w, b])
    n, length, channels = call.shape(x)
    image = call.emit("reshape", [x], "image", shape=(n, 1, length, channels))
    return call.emit("reshape", [call.emit("conv2d", [image, w, b], "conv2d")], shape=call.result)


def batch_norm(call: Call) -> str:
    call.require(not call["training"],
                 "uses the batch's own statistics; train it with track_running_stats=True and load it again")
    x = activation(call, "input")
    roles = (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0))
    parameters = [call.vector(call[role], call.shape(x)[1], fill, role) for role, fill in roles]
    if len(call.shape(x)) == 2:
        return call.emit("batch_norm", [x, *parameters], epsilon=call["eps"])
    image = to_image(call, x)
    return from_image(call, call.emit("batch_norm", [image, *parameters], "batch_norm", epsilon=call["eps"]))


# Arithmetic and activations ---------------------------------------------------------------------------------

def binary(call: Call) -> str:
    """add, sub, mul and their scalar forms; rsub is sub turned round."""
    call.require(call.get("alpha", default=1) == 1, f"alpha={call.get('alpha')}; multiply before adding")
    a, b = call["self"], call["other"]
    first, second = (b, a) if call.op == "rsub" else (a, b)
    return call.emit(call.op.removeprefix("r"), [call.tensor(first), call.tensor(second)])


def divide(call: Call) -> str:
    """x / c as x * (1 / c)."""
    divisor, mode = call["other"], call.get("rounding_mode")
    call.require(not isinstance(divisor, str) and mode is None, "divides by a computed value or rounds; "
                                                                "only division by a constant has a row")
    array = divisor.array if isinstance(divisor, Constant) else np.array([divisor])
    inverse = call.build.constant(f"{call.name}.constant", (1 / array.astype(np.float64)).astype(np.float32))
    return call.emit("mul", [activation(call), inverse])


def clamp(call: Call) -> str:
    low, high = call.get("min", "min_val"), call.get("max", "max_val")
    kind = {(0, None): "relu", (0, 6): "relu6"}.get((low, high))
    call.require(kind is not None, f"clamps to [{low}, {high}]; only [0, 6] and [0, None] have a row")
    return call.emit(kind, [activation(call)])


def unary(kind: str) -> Callable[[Call], str]:
    return lambda call: call.emit(kind, [activation(call)])


def leaky_relu(call: Call) -> str:
    return call.emit("leaky_relu", [activation(call)], alpha=float(call["negative_slope"]))


def silu(call: Call) -> str:
    x = activation(call)
    gate = call.build.op("logistic", [x], f"{call.name}.logistic")
    return call.emit("mul", [x, gate])


def softmax(call: Call) -> str:
    x = activation(call)
    rank = len(call.shape(x))
    axis = call["dim"] % rank
    call.require(axis > 0, "goes over the batch; name another axis")
    if axis == rank - 1:
        return call.emit("softmax", [x])
    perm = (*(a for a in range(rank) if a != axis), axis)
    y = call.emit("softmax", [call.emit("transpose", [x], "last", perm=perm)], "softmax")
    return call.emit("transpose", [y], perm=tuple(int(a) for a in np.argsort(perm)))


# Pooling ----------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Window:
    """pads: (top, bottom, left, right); extra: how much further ceil_mode reaches (bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    extra: tuple[int, int]

    @property
    def reach(self) -> tuple[int, int, int, int]:
        top, bottom, left, right = self.pads
        return top, bottom + self.extra[0], left, right + self.extra[1]


def _window(call: Call, x: str) -> Window:
    spatial = spatial_axes(call, x)
    dilation = pair(call.get("dilation", default=1), spatial, 1)
    call.require(dilation == (1, 1), f"dilation={dilation}; only dilation 1 has a row")
    kernel = pair(call["kernel_size"], spatial, 1)
    stride = pair(call["stride"], spatial, 1) if call["stride"] else kernel
    high, wide = pair(call["padding"], spatial, 0)
    sizes, results = ((1,) * (2 - spatial) + shape[2:] for shape in (call.shape(x), call.result))
    extra = tuple(max(0, (result - 1) * s + k - size - 2 * p) for result, s, k, size, p
                  in zip(results, stride, kernel, sizes, (high, wide)))
    return Window(kernel, stride, (high, high, wide, wide), extra)


def max_pool(call: Call) -> str:
    x = activation(call)
    window, image = _window(call, x), to_image(call, x)
    attrs = {"kernel": window.kernel, "stride": window.stride, "pads": window.reach}
    return from_image(call, call.emit("max_pool2d", [image], "max_pool2d", **attrs))


def average_pool(call: Call) -> str:
    """The row counts only what lies inside the input; count_include_pad is an explicit pad before it."""
    x = activation(call)
    call.require(call.get("divisor_override") is None, "divisor_override has no row; divide afterwards")
    window, y = _window(call, x), to_image(call, x)
    pads = window.reach
    if any(window.pads) and call["count_include_pad"]:
        call.require(not any(window.extra), "ceil_mode with count_include_pad has no row; turn one off")
        y = call.emit("pad", [y], "pad", pads=((0, 0), pads[:2], pads[2:], (0, 0)))
        pads = (0, 0, 0, 0)
    attrs = {"kernel": window.kernel, "stride": window.stride, "pads": pads}
    return from_image(call, call.emit("average_pool2d", [y], "average_pool2d", **attrs))


def adaptive_average_pool(call: Call) -> str:
    x = activation(call)
    spatial = spatial_axes(call, x)
    old, new = call.shape(x)[2:], call.result[2:]
    if set(new) == {1}:
        return call.emit("mean", [x], axes=tuple(range(2, 2 + spatial)), keepdims=True)
    call.require(all(a % b == 0 for a, b in zip(old, new)),
                 f"{old} to {new}; each size must be a multiple of the new one")
    kernel = pair([a // b for a, b in zip(old, new)], spatial, 1)
    y = call.emit("average_pool2d", [to_image(call, x)], "average_pool2d", kernel=kernel, stride=kernel)
    return from_image(call, y)


def mean(call: Call) -> str:
    x, dims = activation(call), call.get("dim")
    rank = len(call.shape(x))
    axes = tuple(sorted(d % rank for d in (range(rank) if not dims else dims)))
    call.require(0 not in axes, "averages over the batch; name the other axes")
    return call.emit("mean", [x], axes=axes, keepdims=bool(call.get("keepdim")))


# Moving data ------------------------------------------------------------------------------------------------

def reshape(call: Call) -> str:
    """flatten, view, reshape, squeeze, unsqueeze: the result's shape says it all."""
    return call.emit("reshape", [activation(call)], shape=call.result)


def permute(call: Call) -> str:
    x = activation(call)
    rank = len(call.shape(x))
    perm = list(range(rank)) if "dims" not in call.args else [d % rank for d in call["dims"]]
    if "dim0" in call.args or call.op == "t":
        a, b = (call[d] % rank for d in ("dim0", "dim1")) if call.op != "t" else (0, rank - 1)
        perm[a], perm[b] = perm[b], perm[a]
    return call.emit("transpose", [x], perm=tuple(perm))


def concat(call: Call) -> str:
    names = [call.tensor(value) for value in call["tensors"]]
    return call.emit("concat", names, axis=call["dim"] % len(call.result))


def pad(call: Call) -> str:
    """torch lists (before, after) from the last axis backwards."""
    x, flat, value = activation(call), list(call["pad"]), call.get("value") or 0
    call.require(call.get("mode", default="constant") == "constant" and value == 0 and min(flat) >= 0,
                 f"mode={call.get('mode')}, value={value}, pad={flat}; only zeros that are added have a row")
    pairs = list(zip(flat[::2], flat[1::2]))[::-1]
    return call.emit("pad", [x], pads=((0, 0),) * (len(call.shape(x)) - len(pairs)) + tuple(pairs))


RULES: Mapping[str, Callable[[Call], str]] = {
    **dict.fromkeys(("conv1d", "conv2d"), convolution),
    "linear": linear,
    **dict.fromkeys(("matmul", "mm"), matmul),
    "addmm": addmm,
    "batch_norm": batch_norm,
    **dict.fromkeys(("add", "sub", "mul", "rsub"), binary),
    "div": divide,
    **dict.fromkeys(("clamp", "clamp_min", "hardtanh"), clamp),
    "relu": unary("relu"),
    "relu6": unary("relu6"),
    "leaky_relu": leaky_relu,
    "sigmoid": unary("logistic"),
    "silu": silu,
    "tanh": unary("tanh"),
    **dict.fromkeys(("softmax", "_softmax"), softmax),
    **dict.fromkeys(("max_pool1d", "max_pool2d"), max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), average_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), adaptive_average_pool),
    "mean": mean,
    **dict.fromkeys(("flatten", "view", "_unsafe_view", "reshape", "squeeze", "unsqueeze"), reshape),
    **dict.fromkeys(("permute", "transpose", "t"), permute),
    **dict.fromkeys(("cat", "concat"), concat),
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
}

IDENTITY = frozenset({"dropout", "feature_dropout", "alpha_dropout", "contiguous", "clone", "detach", "alias",
                      "to", "_to_copy", "type_as", "lift_fresh_copy", "expand", "expand_as"})
"""Dropped where dtype and shape stay as they are and, for the dropouts, train is False."""

COPIES = frozenset({"clone", "_to_copy", "lift_fresh_copy"})
"""Of IDENTITY those that never share memory with their input."""

HINTS: Mapping[str, str] = {
    "squeeze": "name the axis to squeeze",
    "gelu": "use ReLU, SiLU or LeakyReLU",
    "hardswish": "use ReLU6 or SiLU",
    "hardsigmoid": "use Sigmoid",
    "elu": "use ReLU or LeakyReLU",
    "prelu": "use LeakyReLU",
    "log_softmax": "return the logits or the softmax",
    "layer_norm": "use BatchNorm",
    "group_norm": "use BatchNorm",
    "instance_norm": "use BatchNorm",
    "adaptive_max_pool2d": "use AdaptiveAvgPool2d, or MaxPool2d with a fixed kernel",
    "upsample_nearest2d": "resizing has no row yet",
    "conv_transpose2d": "transposed convolution has no row yet",
    **dict.fromkeys(("chunk", "split", "slice", "select", "narrow"),
                    "slicing has no row yet; use separate layers"),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh"), "recurrent layers have no row yet"),
}
