"""Arithmetic, comparisons, logic and types."""

from collections.abc import Mapping
import math

import numpy as np

from toolchain.ir.check import PLAIN
from toolchain.load.aten_call import LARGEST, Call, Constant, Rule, activation

ARITHMETIC = {"add": "add", "sub": "sub", "subtract": "sub", "rsub": "sub", "mul": "mul", "multiply": "mul",
              "minimum": "minimum", "maximum": "maximum"}
RELATION = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
            "ge": "greater_equal", "not_equal": "not_equal", "less": "less", "less_equal": "less_equal",
            "greater": "greater", "greater_equal": "greater_equal"}


def unary(kind: str) -> Rule:
    """An op of the table as it is; integers become floats where the call makes floats."""
    return lambda call: call.emit(kind, [call.cast(activation(call), call.dtype)])


def binary(call: Call) -> str:
    """add, sub, mul and their scalar forms; rsub is sub turned round. alpha scales the second operand."""
    a, b = call["self"], call["other"]
    alpha = call.get("alpha", default=1)
    if call.op == "mul" and (y := _signed_magnitude(call, a, b)):
        return y
    first, second = (b, a) if call.op == "rsub" else (a, b)
    first, second = call.tensor(first, call.dtype), _times(call, second, alpha)
    return call.emit(ARITHMETIC[call.op], [first, second])


def _times(call: Call, value, factor) -> str:
    y = call.tensor(value, call.dtype)
    return y if factor == 1 else call.part("mul", [y, call.tensor(factor, call.dtype, "alpha")], "scaled")


def _signed_magnitude(call: Call, a, b) -> str | None:
    """sign(x) * relu(abs(x)), as torch writes it in lp_pool, is x."""
    sign, magnitude = (call.made.get(value) if isinstance(value, str) else None for value in (a, b))
    if sign is None or magnitude is None or (sign.op, magnitude.op) != ("sign", "relu"):
        return None
    inner = call.made.get(magnitude["self"])
    same = inner is not None and inner.op == "abs" and inner["self"] == sign["self"]
    return sign["self"] if same else None


def sign(call: Call) -> str:
    x = activation(call)
    zero = call.tensor(0, call.dtype_of(x), "zero")
    above, below = (call.cast(call.part("compare", [x, zero], relation, relation=relation), call.dtype,
                              f"is_{relation}") for relation in ("greater", "less"))
    return call.emit("sub", [above, below])


def divide(call: Call) -> str:
    """x / c as x * (1 / c)."""
    dividend, divisor, mode = call["self"], call["other"], call.get("rounding_mode")
    call.require(mode is None, f"rounding_mode={mode!r}; only true division has a row")
    if isinstance(divisor, str):
        return call.emit("div", [call.tensor(value, call.dtype) for value in (dividend, divisor)])
    array = divisor.array if isinstance(divisor, Constant) else np.full((1,), divisor)
    call.require(bool(np.all(array != 0)), "divides by a constant that holds 0")
    inverse = (1 / array.astype(np.float64)).astype(np.float32)
    constant = call.build.constant(f"{call.name}.constant", inverse)
    return call.emit("mul", [call.tensor(dividend, call.dtype), constant])


def reciprocal(call: Call) -> str:
    return call.emit("div", [call.tensor(1.0, role="one"), call.tensor(activation(call))])


def square(call: Call) -> str:
    x = activation(call)
    return call.emit("mul", [x, x])


def power(call: Call) -> str:
    """Small whole and half exponents have ops of their own."""
    base, exponent = call["self"], call["exponent"]
    number = exponent
    if isinstance(exponent, Constant) and exponent.array.size == 1:
        number = exponent.array.item()
    x = call.tensor(base, call.dtype)
    if number == 1:
        return x
    if number in (2, 3):
        squared = x if number == 2 else call.part("mul", [x, x], "square")
        return call.emit("mul", [squared, x])
    if number == -1:
        return call.emit("div", [call.tensor(1.0, role="one"), x])
    if number in (0.5, -0.5):
        return call.emit("sqrt" if number > 0 else "rsqrt", [x])
    return call.emit("pow", [x, call.tensor(exponent, call.dtype, "exponent")])


def exp2(call: Call) -> str:
    return call.emit("pow", [call.tensor(2.0, role="base"), activation(call)])


def shifted_exponential(call: Call) -> str:
    """expm1."""
    return call.emit("sub", [call.part("exp", [activation(call)], "exp"), call.tensor(1.0, role="one")])


def shifted_logarithm(call: Call) -> str:
    """log1p."""
    return call.emit("log", [call.part("add", [activation(call), call.tensor(1.0, role="one")], "add")])


def logarithm(base: float) -> Rule:
    def rule(call: Call) -> str:
        y = call.part("log", [activation(call)], "log")
        return call.emit("mul", [y, call.tensor(1 / math.log(base), role="factor")])

    return rule


def add_scaled(call: Call) -> str:
    """addcmul and addcdiv: self + value * (tensor1 op tensor2)."""
    a, b = (call.tensor(call[name]) for name in ("tensor1", "tensor2"))
    kind = "mul" if call.op == "addcmul" else "div"
    y = call.part(kind, [a, b], kind)
    if call["value"] != 1:
        y = call.part("mul", [y, call.tensor(float(call["value"]), role="value")], "scaled")
    return call.emit("add", [call.tensor(call["self"]), y])


def interpolate_between(call: Call) -> str:
    """lerp: a + weight * (b - a)."""
    a, b = call.tensor(call["self"]), call.tensor(call["end"])
    step = call.part("sub", [b, a], "sub")
    return call.emit("add", [a, call.part("mul", [step, call.tensor(call["weight"], role="weight")], "mul")])


# Comparisons, logic and types -------------------------------------------------------------------------------

def _common_dtype(call: Call, *values) -> str:
    """What operands are compared as: floats if one is, else the widest integer; Python numbers follow."""
    kinds = {np.dtype(call.dtype_of(v) if isinstance(v, str) else v.array.dtype) for v in values
             if isinstance(v, str | Constant)}
    if any(d.kind == "f" for d in kinds) or any(isinstance(v, float) for v in values):
        return "float32"
    widest = np.result_type(*kinds).name
    if widest == "bool" and any(type(v) is int for v in values):
        return "int64"
    return widest if widest in PLAIN else "int32"


def compare(call: Call) -> str:
    a, b = call["self"], call["other"]
    dtype = _common_dtype(call, a, b)
    return call.emit("compare", [call.tensor(a, dtype), call.tensor(b, dtype)], relation=RELATION[call.op])


def is_nan(call: Call) -> str:
    x = activation(call)
    return call.emit("compare", [x, x], relation="not_equal")


def logic(kind: str) -> Rule:
    """and, or, xor of truth values; the bitwise forms only of those."""
    def rule(call: Call) -> str:
        call.require(call.dtype == "bool", f"works on the bits of {call.dtype}; only truth values have a row")
        a, b = (call.tensor(call[name], "bool") for name in ("self", "other"))
        if kind != "xor":
            return call.emit(f"logical_{kind}", [a, b])
        either, both = call.part("logical_or", [a, b], "or"), call.part("logical_and", [a, b], "and")
        return call.emit("logical_and", [either, call.part("logical_not", [both], "not")])

    return rule


def negation(call: Call) -> str:
    call.require(call.dtype == "bool", f"works on the bits of {call.dtype}; only truth values have a row")
    return call.emit("logical_not", [call.tensor(activation(call), "bool")])


def cast(call: Call) -> str:
    call.require(call.dtype in PLAIN, f"makes {call.dtype}; only {', '.join(sorted(PLAIN))} have a row")
    return call.cast(activation(call), call.dtype, "")


def where(call: Call) -> str:
    call.require("self" in call.args, "gives positions, whose number depends on values")
    operands = [call.tensor(call["condition"], "bool", "condition")]
    operands += [call.tensor(call[name], call.dtype) for name in ("self", "other")]
    return call.emit("select", operands)


def masked_fill(call: Call) -> str:
    """An infinite value becomes the largest finite one: softmax makes 0 of it as well."""
    value = call["value"]
    if isinstance(value, Constant):
        value = value.array.item()
    if isinstance(value, int | float) and call.dtype == "float32":
        value = min(max(float(value), -LARGEST), LARGEST)
    operands = [call.tensor(call["mask"], "bool", "mask"), call.tensor(value, call.dtype, "value")]
    return call.emit("select", [*operands, call.tensor(call["self"], call.dtype)])


RULES: Mapping[str, Rule] = {
    **dict.fromkeys(ARITHMETIC, binary),
    **dict.fromkeys(("div", "divide", "true_divide"), divide),
    **{kind: unary(kind) for kind in ("abs", "neg", "exp", "log", "sqrt", "rsqrt")},
    "negative": unary("neg"),
    "absolute": unary("abs"),
    "sign": sign,
    "reciprocal": reciprocal,
    "square": square,
    "pow": power,
    "exp2": exp2,
    "expm1": shifted_exponential,
    "log1p": shifted_logarithm,
    "log2": logarithm(2),
    "log10": logarithm(10),
    **dict.fromkeys(("addcmul", "addcdiv"), add_scaled),
    "lerp": interpolate_between,
    **dict.fromkeys(RELATION, compare),
    "isnan": is_nan,
    **dict.fromkeys(("logical_and", "bitwise_and", "__and__"), logic("and")),
    **dict.fromkeys(("logical_or", "bitwise_or", "__or__"), logic("or")),
    **dict.fromkeys(("logical_xor", "bitwise_xor", "__xor__"), logic("xor")),
    **dict.fromkeys(("logical_not", "bitwise_not"), negation),
    **dict.fromkeys(("to", "_to_copy", "type_as"), cast),
    "where": where,
    "masked_fill": masked_fill,
}
