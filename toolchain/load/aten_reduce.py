"""Reductions over named axes."""

from collections.abc import Mapping
import math

from toolchain.load.aten_call import Call, Rule, activation, axes_of, axis_of


def _reduced(call: Call, kind: str, x: str, step: str = "", keepdims: bool | None = None) -> str:
    axes = axes_of(call, x, call.get("dim"))
    attrs = {"axes": axes, "keepdims": bool(call.get("keepdim")) if keepdims is None else keepdims}
    if 0 in axes:
        return _reduced_behind_batch(call, kind, x, step or "", **attrs)
    return call.part(kind, [x], step, **attrs) if step else call.emit(kind, [x], **attrs)


def _reduced_behind_batch(call: Call, kind: str, x: str, step: str, axes: tuple[int, ...],
                          keepdims: bool) -> str:
    """A first axis that is not the batch is reduced as the second."""
    shape = call.shape(x)
    y = call.emit("reshape", [x], f"{step}whole", shape=(1, *shape))
    y = call.part(kind, [y], f"{step}reduced", axes=tuple(axis + 1 for axis in axes), keepdims=True)
    left = tuple(1 if axis in axes else n for axis, n in enumerate(shape) if keepdims or axis not in axes)
    return call.emit("reshape", [y], step, shape=left)


def reduction(kind: str) -> Rule:
    """mean, sum, amax, amin; whole numbers and truth values are first cast to the dtype of the result."""
    return lambda call: _reduced(call, kind, call.cast(activation(call), call.dtype))


def extreme(kind: str) -> Rule:
    """max and min: of two tensors, or of one along an axis, then (values, indices); no indices along the
    first."""
    def rule(call: Call) -> str | tuple[str, str | None]:
        if "other" in call.args:
            operands = [call.tensor(call[name], call.dtype) for name in ("self", "other")]
            return call.emit("maximum" if kind == "reduce_max" else "minimum", operands)
        x = activation(call)
        values = _reduced(call, kind, x)
        if "dim" not in call.args:
            return values
        inner = call["dim"] % len(call.shape(x)) > 0
        return values, _position(call, x, kind, "indices") if inner else None

    return rule


def position(kind: str) -> Rule:
    """argmax, argmin."""
    return lambda call: _position(call, activation(call), kind)


def _position(call: Call, x: str, kind: str, step: str = "") -> str:
    """Of the first largest value; of the smallest, that of the largest of -x."""
    call.require(call["dim"] is not None, "goes over the batch; name another axis")
    axis = axis_of(call, x, call["dim"])
    if kind == "reduce_min":
        x = call.part("neg", [x], "neg")
    step = f".{step}" if step else ""
    if not call.get("keepdim"):
        return call.build.op("argmax", [x], call.name + step, axis=axis, to="int64")
    y = call.emit("argmax", [x], "argmax", axis=axis, to="int64")
    shape = (*call.shape(x)[:axis], 1, *call.shape(x)[axis + 1:])
    return call.build.op("reshape", [y], call.name + step, shape=shape)


def both_extremes(call: Call) -> tuple[str, str]:
    """aminmax."""
    x = activation(call)
    return _reduced(call, "reduce_min", x), _reduced(call, "reduce_max", x, "max")


def variance(call: Call) -> str:
    """Sum of squared differences from the mean, over n - correction (1 unless said otherwise)."""
    x = activation(call)
    mean = _reduced(call, "mean", x, "mean", keepdims=True)
    return _spread(call, x, mean, root=call.op == "std")


def _spread(call: Call, x: str, mean: str, root: bool) -> str:
    count = math.prod(call.shape(x)[axis] for axis in axes_of(call, x, call.get("dim")))
    correction = call.get("correction", "unbiased", default=1)
    left = count - (1 if correction is None else int(correction))
    call.require(left > 0, f"is over {count} values; a variance needs more than its correction")
    difference = call.part("sub", [x, mean], "difference")
    squares = call.part("mul", [difference, difference], "squares")
    y = _reduced(call, "mean", squares, "" if left == count and not root else "mean_square")
    if left != count:
        factor = call.tensor(count / left, role="correction")
        y = call.part("mul", [y, factor], "variance") if root else call.emit("mul", [y, factor])
    return call.emit("sqrt", [y]) if root else y


def variance_and_mean(call: Call) -> tuple[str, str]:
    x = activation(call)
    mean = _reduced(call, "mean", x, "mean", keepdims=True)
    spread = _spread(call, x, mean, root=call.op == "std_mean")
    return spread, _reduced(call, "mean", x, "mean")


def norm(call: Call) -> str:
    """(sum of |x|^p)^(1/p); the largest or smallest |x| for p = inf, -inf."""
    x, p = activation(call), call.get("ord", "p", default=2)
    p = 2.0 if p is None else float(p)
    if p == 2:
        return call.emit("sqrt", [_reduced(call, "sum", call.part("mul", [x, x], "square"), "sum")])
    size = call.part("abs", [x], "abs")
    if math.isinf(p):
        return _reduced(call, "reduce_max" if p > 0 else "reduce_min", size)
    call.require(p > 0, f"is the norm of order {p:g}; only positive ones have a row")
    if p == 1:
        return _reduced(call, "sum", size)
    powers = call.part("pow", [size, call.tensor(p, role="order")], "pow")
    return call.emit("pow", [_reduced(call, "sum", powers, "sum"), call.tensor(1 / p, role="root")])


def cosine_similarity(call: Call) -> str:
    """a.b / (max(|a|, eps) max(|b|, eps)), along an axis that both have."""
    sides = [activation(call, name) for name in ("x1", "x2")]
    call.require(call.shape(sides[0]) == call.shape(sides[1]), "compares tensors of two shapes")
    axes = (axis_of(call, sides[0], call["dim"]),)

    def dot(a: str, b: str, step: str) -> str:
        products = call.part("mul", [a, b], f"{step}.products")
        return call.part("sum", [products], step, axes=axes, keepdims=False)

    lengths = [call.part("maximum", [call.part("sqrt", [dot(x, x, f"square{i}")], f"norm{i}"),
                                     call.tensor(float(call["eps"]), role="epsilon")], f"length{i}")
               for i, x in enumerate(sides)]
    return call.emit("div", [dot(*sides, "dot"), call.part("mul", lengths, "lengths")])


def log_sum_exp(call: Call) -> str:
    """max + log(sum(exp(x - max)))."""
    x = activation(call)
    peak = _reduced(call, "reduce_max", x, "max", keepdims=True)
    sums = _reduced(call, "sum", call.part("exp", [call.part("sub", [x, peak], "sub")], "exp"), "sum")
    y = call.part("log", [sums], "log")
    if call.shape(peak) != call.shape(y):
        peak = call.emit("reshape", [peak], "max", shape=call.shape(y))
    return call.emit("add", [y, peak])


def truth(kind: str) -> Rule:
    """any is the maximum of truth values, all the minimum."""
    def rule(call: Call) -> str:
        x = call.cast(call.cast(activation(call), "bool"), "float32", "number")
        return call.cast(_reduced(call, kind, x, "reduced"), "bool", "")

    return rule


RULES: Mapping[str, Rule] = {
    "mean": reduction("mean"),
    "sum": reduction("sum"),
    "amax": reduction("reduce_max"),
    "amin": reduction("reduce_min"),
    "max": extreme("reduce_max"),
    "min": extreme("reduce_min"),
    "aminmax": both_extremes,
    "argmax": position("reduce_max"),
    "argmin": position("reduce_min"),
    **dict.fromkeys(("var", "std"), variance),
    **dict.fromkeys(("var_mean", "std_mean"), variance_and_mean),
    **dict.fromkeys(("linalg_vector_norm", "norm"), norm),
    "cosine_similarity": cosine_similarity,
    "logsumexp": log_sum_exp,
    "any": truth("reduce_max"),
    "all": truth("reduce_min"),
}
