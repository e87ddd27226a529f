"""Element by element: arithmetic, activations, logic and types (ONNX operator specification)."""

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.ir.ops import PLAIN
from toolchain.load.onnx_call import LARGEST, Call, Rule, Value

MASKED = -1e4
"""Added to a score that attention may not see, in place of -inf."""
HUGE = 3.4e38
"""Exporters write float32's largest number for "no bound"."""
ERF = 0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
"""p and a1 to a5 of `erf`."""
ELEMENT = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float32"}
"""Number of an ONNX element type -> name of what a Graph has for it."""


# Arithmetic ------------------------------------------------------------------------------------------------

def binary(kind: str, **attrs) -> Rule:
    return lambda call: call.emit(kind, [call.operand(0), call.operand(1)], **attrs)


def unary(kind: str) -> Rule:
    return lambda call: call.emit(kind, [call.activation()])


def many(kind: str) -> Rule:
    """Any number of operands, two at a time."""
    def rule(call: Call) -> Value:
        total = call.operand(0)
        for index in range(1, len(call.inputs)):
            last = index == len(call.inputs) - 1
            total = call.emit(kind, [total, call.operand(index)], "" if last else f"{kind}{index}")
        return total
    return rule


def mean(call: Call) -> Value:
    count = len(call.inputs)
    total = call.operand(0)
    for index in range(1, count):
        total = call.emit("add", [total, call.operand(index)], f"add{index}")
    return call.emit("mul", [total, call.fresh("share", 1 / count)]) if count > 1 else total


def div(call: Call) -> str:
    """x / c as x * (1 / c)."""
    divisor = call.input(1)
    if isinstance(divisor, str) or isinstance(call.input(0), np.ndarray) or divisor.dtype != np.float32:
        return call.emit("div", [call.operand(0), call.operand(1)])
    call.require(bool(divisor.all()), "divides by 0")
    return call.emit("mul", [call.activation(), call.weight(1, "inverse", 1 / divisor.astype(np.float64))])


def reciprocal(call: Call) -> str:
    return call.emit("div", [call.fresh("one", np.ones((1,) * call.rank(call.activation()), np.float32)),
                             call.activation()])


def power(call: Call) -> Value:
    """Of a few constant exponents an op of its own."""
    exponent, x = call.scalar(1), call.input(0)
    if not isinstance(x, str) or isinstance(call.input(1), str):
        return call.emit("pow", [call.operand(0), call.operand(1)])
    if exponent == 1:
        return x
    if exponent == 0.5:
        return call.emit("sqrt", [x])
    if exponent in (2, 3):
        return call.emit("mul", [x if exponent == 2 else call.emit("mul", [x, x], "square"), x])
    return call.emit("pow", [x, call.weight(1, "as float32", call.input(1).astype(np.float32))])


def clip(call: Call) -> Value:
    x, low, high = call.activation(), call.setting("min", 1), call.setting("max", 2)
    low, high = (bound[0] if isinstance(bound, tuple) else bound for bound in (low, high))
    low, high = None if low is None or low <= -HUGE else low, None if high is None or high >= HUGE else high
    kind = {(0, None): "relu", (0, 6): "relu6"}.get((low, high))
    if kind and call.dtype(x) == "float32":
        return call.emit(kind, [x])
    if low is not None:
        x = call.emit("maximum", [x, _bound(call, x, "low", low)], "above" if high is not None else "")
    return x if high is None else call.emit("minimum", [x, _bound(call, x, "high", high)])


def _bound(call: Call, x: str, role: str, value: float) -> str:
    return call.fresh(role, np.array(value, call.dtype(x)))


# Activations -----------------------------------------------------------------------------------------------

def leaky_relu(call: Call) -> str:
    return call.emit("leaky_relu", [call.activation()], alpha=float(call.attr("alpha", 0.01)))


def p_relu(call: Call) -> str:
    """With one slope for all it is a leaky ReLU."""
    x, slope = call.activation(), call.input(1)
    if isinstance(slope, np.ndarray) and slope.size and np.all(slope == slope.flat[0]):
        return call.emit("leaky_relu", [x], alpha=float(slope.flat[0]))
    return call.emit("prelu", [x, call.operand(1)])


def elu(call: Call) -> str:
    """What lies below 0 times alpha."""
    alpha = float(call.attr("alpha", 1.0))
    if alpha == 1:
        return call.emit("elu", [call.activation()])
    return call.emit("leaky_relu", [call.emit("elu", [call.activation()], "elu")], alpha=alpha)


def selu(call: Call) -> str:
    """gamma * x, below 0 gamma * alpha * (exp(x) - 1) (Klambauer et al. 2017)."""
    alpha, gamma = call.attr("alpha", 1.6732632), call.attr("gamma", 1.0507010)
    bent = call.emit("elu", [call.activation()], "elu")
    steep = call.emit("leaky_relu", [bent], "steep", alpha=float(alpha))
    return call.emit("mul", [steep, call.fresh("gamma", gamma)])


def celu(call: Call) -> str:
    """alpha * elu(x / alpha)"""
    alpha = float(call.attr("alpha", 1.0))
    if alpha == 1:
        return call.emit("elu", [call.activation()])
    narrow = call.emit("mul", [call.activation(), call.fresh("inverse", 1 / alpha)], "narrow")
    return call.emit("mul", [call.emit("elu", [narrow], "elu"), call.fresh("alpha", alpha)])


def erf(call: Call) -> str:
    """To 1.5e-7: for x above 0 it is 1 - (a1 t + a2 t^2 + ... + a5 t^5) exp(-x^2), t = 1 / (1 + p x); odd
    (Abramowitz and Stegun 1964, 7.1.26)."""
    x = call.activation()
    one = call.fresh("one", np.ones((1,) * call.rank(x), np.float32))
    scaled = call.emit("mul", [call.emit("abs", [x], "size"), call.fresh("p", ERF[0])], "scaled")
    t = call.emit("div", [one, call.emit("add", [scaled, one], "plus")], "t")
    sums = call.fresh("a5", ERF[5])
    for power in range(4, -1, -1):
        sums = call.emit("mul", [t, sums], f"times{power}")
        if power:
            sums = call.emit("add", [sums, call.fresh(f"a{power}", ERF[power])], f"sum{power}")
    square = call.emit("neg", [call.emit("mul", [x, x], "square")], "opposite")
    tail = call.emit("mul", [sums, call.emit("exp", [square], "exp")], "tail")
    above = call.emit("sub", [one, tail], "above")
    below = call.emit("compare", [x, call.fresh("zero", 0.0)], "below", relation="less")
    return call.emit("select", [below, call.emit("neg", [above], "mirrored"), above])


def gelu(call: Call) -> str:
    return call.emit("gelu", [call.activation()], approximate=call.attr("approximate", "none") == "tanh")


def hard_sigmoid(call: Call) -> str:
    """max(0, min(1, alpha * x + beta)) as relu6(6 * alpha * x + 6 * beta) / 6."""
    x, alpha, beta = call.activation(), call.attr("alpha", 0.2), call.attr("beta", 0.5)
    if abs(6 * alpha - 1) > 1e-6:
        x = call.emit("mul", [x, call.fresh("alpha", 6 * alpha)], "steep")
    clamped = call.emit("add", [x, call.fresh("beta", 6 * beta)], "clamped", activation="relu6")
    return call.emit("mul", [clamped, call.fresh("sixth", 1 / 6)])


def swish(call: Call) -> str:
    """x * sigmoid(alpha * x)"""
    x, alpha = call.activation(), call.attr("alpha", 1.0)
    steep = x if alpha == 1 else call.emit("mul", [x, call.fresh("alpha", alpha)], "steep")
    return call.emit("mul", [x, call.emit("logistic", [steep], "gate")])


def mish(call: Call) -> str:
    """x * tanh(softplus(x)) (Misra 2019)"""
    x = call.activation()
    return call.emit("mul", [x, call.emit("tanh", [call.emit("softplus", [x], "softplus")], "gate")])


def softsign(call: Call) -> str:
    x = call.activation()
    above = call.emit("add", [call.emit("abs", [x], "abs"), call.fresh("one", 1)], "above")
    return call.emit("div", [x, above])


def thresholded_relu(call: Call) -> str:
    """x where it is above alpha, else 0."""
    x = call.activation()
    above = call.emit("compare", [x, call.fresh("alpha", call.attr("alpha", 1.0))], "above",
                      relation="greater")
    return call.emit("select", [above, x, call.fresh("zero", 0)])


# Logic and types -------------------------------------------------------------------------------------------

def cast(call: Call) -> Value:
    return _as(call, ELEMENT.get(call.attr("to")))


def cast_like(call: Call) -> Value:
    like = call.input(1)
    return _as(call, call.dtype(like) if isinstance(like, str) else like.dtype.name)


def _as(call: Call, dtype: str | None) -> Value:
    call.require(dtype in PLAIN, f"casts to a type without a row; there are {', '.join(sorted(PLAIN))}")
    x = call.activation()
    return x if call.dtype(x) == dtype else call.emit("cast", [x], to=dtype)


def is_nan(call: Call) -> Value:
    """Nowhere: weights and inputs are finite. Exported attention asks it of a softmax that sees nothing."""
    shape = call.shape(call.activation())
    call.require(prod(shape) <= LARGEST, f"asks it of {shape}")
    return np.zeros(shape, bool)


def select(call: Call) -> Value:
    condition = call.input(0)
    if isinstance(condition, np.ndarray) and not condition.any() and isinstance(other := call.input(2), str) \
            and call.shape(other) == condition.shape:
        return other
    return call.emit("select", [call.operand(0), call.operand(1), call.operand(2)])


def add(call: Call) -> str:
    """A mask's -inf as a number that hides as well: softmax makes 0 of it."""
    return call.emit("add", [_finite(call, 0), _finite(call, 1)])


def _finite(call: Call, index: int) -> str:
    value = call.input(index)
    if isinstance(value, str) or value.dtype.kind != "f" or not np.isneginf(value).any():
        return call.operand(index)
    return call.fresh("mask", np.maximum(value, MASKED).astype(np.float32))


RELATIONS = {"Equal": "equal", "Less": "less", "LessOrEqual": "less_equal", "Greater": "greater",
             "GreaterOrEqual": "greater_equal", "Xor": "not_equal"}
UNARY = {"Relu": "relu", "Sigmoid": "logistic", "Tanh": "tanh", "HardSwish": "hard_swish",
         "Softplus": "softplus", "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt",
         "Not": "logical_not"}
MATH: Mapping[str, Rule] = {
    **{op: binary(kind) for op, kind in (("Sub", "sub"), ("Mul", "mul"),
                                         ("And", "logical_and"), ("Or", "logical_or"))},
    **{op: many(kind) for op, kind in (("Sum", "add"), ("Max", "maximum"), ("Min", "minimum"))},
    **{op: unary(kind) for op, kind in UNARY.items()},
    **{op: binary("compare", relation=relation) for op, relation in RELATIONS.items()},
    "Add": add,
    "Mean": mean,
    "Div": div,
    "Reciprocal": reciprocal,
    "Pow": power,
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "PRelu": p_relu,
    "Elu": elu,
    "Selu": selu,
    "Celu": celu,
    "Erf": erf,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "Swish": swish,
    "Mish": mish,
    "Softsign": softsign,
    "ThresholdedRelu": thresholded_relu,
    "Cast": cast,
    "CastLike": cast_like,
    "IsNaN": is_nan,
    "Where": select,
}
