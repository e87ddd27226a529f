"""Activation functions; what the op table has no row for is composed."""

from collections.abc import Mapping

import numpy as np

from toolchain.load.aten_call import (
    LARGEST,
    Call,
    Constant,
    Rule,
    activation,
    axis_beside_batch,
    axis_of,
    cut,
)
from toolchain.load.aten_math import unary

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017, eq. 2."""
EXACT_ABOVE = 15.0
"""From here on log(1 + exp(x)) is x in float32, to 3e-7."""


def relu6(call: Call) -> str:
    return call.emit("relu6", [activation(call)])


def clamp(call: Call) -> str:
    """min(max(x, low), high), relu and relu6 where they are it. Bounds are numbers or tensors."""
    x = call.cast(activation(call), call.dtype)
    low, high = (_bound(call.get(*names)) for names in (("min", "min_val"), ("max", "max_val")))
    if call.dtype == "float32" and not isinstance(low, str | Constant) and low == 0 and high in (None, 6):
        return call.emit("relu" if high is None else "relu6", [x])
    bounds = [("maximum", low)] * (low is not None) + [("minimum", high)] * (high is not None)
    for place, (kind, bound) in enumerate(bounds):
        limit = call.tensor(bound, call.dtype, "min" if kind == "maximum" else "max")
        x = call.emit(kind, [x, limit]) if place == len(bounds) - 1 else call.part(kind, [x, limit], kind)
    return x


def _bound(value):
    """A bound; None where it is none, written as infinity."""
    return None if isinstance(value, float) and abs(value) > LARGEST else value


def leaky_relu(call: Call) -> str:
    return call.emit("leaky_relu", [activation(call)], alpha=float(call["negative_slope"]))


def mean_leaky_relu(call: Call) -> str:
    """rrelu: outside of training its slope is the middle one."""
    call.require(not call["training"], "draws its slopes; call module.eval() on it")
    return call.emit("leaky_relu", [activation(call)], alpha=float(call["lower"] + call["upper"]) / 2)


def prelu(call: Call) -> str:
    """One slope, or one for each channel (axis 1)."""
    x, alpha = activation(call), call["weight"]
    call.require(isinstance(alpha, Constant), "weight is computed from the input")
    if alpha.array.size == 1:
        return call.emit("leaky_relu", [x], alpha=float(alpha.array.item()))
    shape = (-1,) + (1,) * (len(call.shape(x)) - 2)
    return call.emit("prelu", [x, call.weight(alpha, "prelu", alpha.array.reshape(shape), "weight")])


def silu(call: Call) -> str:
    x = activation(call)
    return call.emit("mul", [x, call.part("logistic", [x], "logistic")])


def mish(call: Call) -> str:
    x = activation(call)
    return call.emit("mul", [x, call.part("tanh", [call.part("softplus", [x], "softplus")], "tanh")])


def hard_sigmoid(call: Call) -> str:
    shifted = call.part("add", [activation(call), call.tensor(3.0, role="three")], "add", activation="relu6")
    return call.emit("mul", [shifted, call.tensor(1 / 6, role="sixth")])


def elu(call: Call) -> str:
    """scale * (x where x > 0, else alpha * (exp(input_scale * x) - 1))."""
    scale, inner = call.get("scale", default=1), call.get("input_scale", default=1)
    call.require(inner == 1, f"input_scale={inner}; only 1 has a row")
    return _scaled_elu(call, activation(call), call["alpha"], scale)


def _scaled_elu(call: Call, x: str, alpha: float, scale: float) -> str:
    """What elu makes of negative values is a multiple of alpha, as a leaky ReLU makes it."""
    steps = [("elu", {})]
    steps += [("leaky_relu", {"alpha": float(alpha)})] * (alpha != 1) + [("mul", {})] * (scale != 1)
    for place, (kind, attrs) in enumerate(steps):
        operands = [x] if kind != "mul" else [x, call.tensor(float(scale), role="scale")]
        last = place == len(steps) - 1
        x = call.emit(kind, operands, **attrs) if last else call.part(kind, operands, kind, **attrs)
    return x


def selu(call: Call) -> str:
    return _scaled_elu(call, activation(call), SELU_ALPHA, SELU_SCALE)


def celu(call: Call) -> str:
    """alpha * elu(x / alpha) (Barron 2017)."""
    x, alpha = activation(call), float(call["alpha"])
    if alpha == 1:
        return call.emit("elu", [x])
    y = call.part("elu", [call.part("mul", [x, call.tensor(1 / alpha, role="inverse")], "scaled")], "elu")
    return call.emit("mul", [y, call.tensor(alpha, role="alpha")])


def gelu(call: Call) -> str:
    return call.emit("gelu", [activation(call)], approximate=call["approximate"] == "tanh")


def softplus(call: Call) -> str:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold."""
    x, beta, threshold = activation(call), float(call["beta"]), float(call["threshold"])
    scaled = x if beta == 1 else call.part("mul", [x, call.tensor(beta, role="beta")], "scaled")
    exact = threshold >= EXACT_ABOVE
    if exact and beta == 1:
        return call.emit("softplus", [x])
    y = call.part("softplus", [scaled], "softplus")
    if beta != 1:
        inverse = call.tensor(1 / beta, role="inverse")
        y = call.emit("mul", [y, inverse]) if exact else call.part("mul", [y, inverse], "unscaled")
    return y if exact else call.emit("select", [_above(call, scaled, threshold), x, y])


def _above(call: Call, x: str, threshold: float) -> str:
    limit = call.tensor(threshold, role="threshold")
    return call.part("compare", [x, limit], "above", relation="greater")


def log_sigmoid(call: Call) -> str:
    """-softplus(-x)."""
    negative = call.part("neg", [activation(call)], "neg")
    return call.emit("neg", [call.part("softplus", [negative], "softplus")])


def threshold(call: Call) -> str:
    """x where it is above the threshold, else value."""
    x, limit, value = activation(call), float(call["threshold"]), float(call["value"])
    if limit == value:
        return call.emit("maximum", [x, call.tensor(limit, role="threshold")])
    return call.emit("select", [_above(call, x, limit), x, call.tensor(value, role="value")])


def hard_shrink(call: Call) -> str:
    """0 within [-lambda, lambda], else x."""
    x = activation(call)
    outside = _above(call, call.part("abs", [x], "abs"), float(call["lambd"]))
    return call.emit("select", [outside, x, call.tensor(0.0, role="zero")])


def soft_shrink(call: Call) -> str:
    """x - clamp(x, -lambda, lambda)."""
    x, bound = activation(call), float(call["lambd"])
    y = call.part("maximum", [x, call.tensor(-bound, role="min")], "maximum")
    return call.emit("sub", [x, call.part("minimum", [y, call.tensor(bound, role="max")], "minimum")])


def glu(call: Call) -> str:
    """The first half along an axis, times the logistic of the second (Dauphin et al. 2017, eq. 1)."""
    x = activation(call)
    axis = axis_of(call, x, call["dim"])
    half = call.shape(x)[axis] // 2
    first, second = (cut(call, x, axis, slice(at, at + half), f"half{at // half}") for at in (0, half))
    return call.emit("mul", [first, call.part("logistic", [second], "logistic")])


def softmax(kind: str) -> Rule:
    """Over the last axis; another one is brought there and back."""
    def rule(call: Call) -> str:
        x = activation(call)
        rank, axis = len(call.shape(x)), axis_beside_batch(call, x, call["dim"])
        if axis == rank - 1:
            return call.emit(kind, [x])
        perm = (*(a for a in range(rank) if a != axis), axis)
        y = call.emit(kind, [call.emit("transpose", [x], "last", perm=perm)], kind)
        return call.emit("transpose", [y], perm=tuple(int(a) for a in np.argsort(perm)))

    return rule


RULES: Mapping[str, Rule] = {
    "relu": unary("relu"),
    "relu6": relu6,
    **dict.fromkeys(("clamp", "clip", "clamp_min", "clamp_max", "hardtanh"), clamp),
    "leaky_relu": leaky_relu,
    "rrelu": mean_leaky_relu,
    **dict.fromkeys(("prelu", "_prelu_kernel"), prelu),
    "sigmoid": unary("logistic"),
    "silu": silu,
    "mish": mish,
    "tanh": unary("tanh"),
    "hardswish": unary("hard_swish"),
    "hardsigmoid": hard_sigmoid,
    "elu": elu,
    "selu": selu,
    "celu": celu,
    "gelu": gelu,
    "softplus": softplus,
    "log_sigmoid": log_sigmoid,
    "threshold": threshold,
    "hardshrink": hard_shrink,
    "softshrink": soft_shrink,
    "glu": glu,
    **dict.fromkeys(("softmax", "_softmax"), softmax("softmax")),
    **dict.fromkeys(("log_softmax", "_log_softmax"), softmax("log_softmax")),
}
