"""Pooling and reduction (ONNX operator specification)."""

from collections.abc import Callable, Mapping
from math import prod

from toolchain.load.onnx_call import Call, Rule, Value, from_image, to_image
from toolchain.load.onnx_window import Pads, Window, window

# Pooling ---------------------------------------------------------------------------------------------------

def _slide(call: Call, x: str) -> Window:
    slide = window(call, x, call.attr("kernel_shape"))
    call.require(slide.dilation == (1, 1), f"dilations={slide.dilation}; only 1 has a row")
    return slide


def _pool(call: Call, kind: str, image: str, slide: Window, pads: Pads) -> str:
    return call.emit(kind, [image], kind, kernel=slide.kernel, stride=slide.stride, pads=pads)


def max_pool(call: Call) -> str:
    x = call.activation()
    slide = _slide(call, x)
    y = _pool(call, "max_pool2d", to_image(call, x), slide, slide.reach)
    return from_image(call, y, call.rank(x))


def average_pool(call: Call) -> str:
    """The row counts only what lies inside the input; count_include_pad is an explicit pad before it."""
    x = call.activation()
    slide = _slide(call, x)
    image, pads = to_image(call, x), slide.reach
    if any(slide.pads) and call.attr("count_include_pad", 0):
        call.require(not any(slide.extra), "ceil_mode with count_include_pad has no row; turn one off")
        image, pads = _padded(call, image, pads), (0, 0, 0, 0)
    return from_image(call, _pool(call, "average_pool2d", image, slide, pads), call.rank(x))


def _padded(call: Call, image: str, pads: Pads) -> str:
    return call.emit("pad", [image], "pad", pads=((0, 0), pads[:2], pads[2:], (0, 0)))


def lp_pool(call: Call) -> str:
    """The p-norm of each window: of averages of |x|^p, times how many there are."""
    x, p = call.activation(), call.attr("p", 2)
    slide = _slide(call, x)
    call.require(p in (1, 2), f"p={p}; only 1 and 2 have a row")
    image = _padded(call, to_image(call, x), slide.reach) if any(slide.reach) else to_image(call, x)
    powers = _powers(call, image, p)
    averages = _pool(call, "average_pool2d", powers, slide, (0, 0, 0, 0))
    sums = call.emit("mul", [averages, call.fresh("count", prod(slide.kernel))], "sums")
    return from_image(call, call.emit("sqrt", [sums], "norm") if p == 2 else sums, call.rank(x))


def _powers(call: Call, x: str, p: int) -> str:
    """|x|^p for p of 1 or 2."""
    return call.emit("abs", [x], "magnitude") if p == 1 else call.emit("mul", [x, x], "square")


def global_average_pool(call: Call) -> str:
    x = call.activation()
    return call.emit("mean", [x], axes=tuple(range(2, call.rank(x))), keepdims=True)


def global_max_pool(call: Call) -> str:
    x = call.activation()
    if call.rank(x) not in (3, 4):
        return call.emit("reduce_max", [x], axes=tuple(range(2, call.rank(x))), keepdims=True)
    image = to_image(call, x)
    y = call.emit("max_pool2d", [image], "max_pool2d", kernel=call.shape(image)[1:3])
    return from_image(call, y, call.rank(x))


def global_lp_pool(call: Call) -> str:
    x, p = call.activation(), call.attr("p", 2)
    call.require(p in (1, 2), f"p={p}; only 1 and 2 have a row")
    sums = call.emit("sum", [_powers(call, x, p)], "sums" if p == 2 else "",
                     axes=tuple(range(2, call.rank(x))), keepdims=True)
    return call.emit("sqrt", [sums]) if p == 2 else sums


# Reduction -------------------------------------------------------------------------------------------------

def _axes(call: Call, x: str) -> tuple[int, ...]:
    """Attribute or, since opset 13 or 18, input 1; none: all, or nothing to do (an empty tuple)."""
    axes = call.setting("axes", 1)
    if not axes and call.attr("noop_with_empty_axes", 0):
        return ()
    axes = sorted({call.axis(axis, x) for axis in axes or range(call.rank(x))})
    call.require(0 not in axes, "reduces over the batch; name the other axes")
    return tuple(axes)


def reduction(kind: str, before: Callable[[Call, str], str] | None = None, after: str = "") -> Rule:
    """before: what is made of each element first;  after: kind of op on the result"""
    def rule(call: Call) -> Value:
        x = call.activation()
        axes = _axes(call, x)
        values = before(call, x) if before else x
        if not axes:
            return values
        y = call.emit(kind, [values], kind if after else "", axes=axes,
                      keepdims=bool(call.attr("keepdims", 1)))
        return call.emit(after, [y]) if after else y
    return rule


def _magnitude(call: Call, x: str) -> str:
    return _powers(call, x, 1)


def _square(call: Call, x: str) -> str:
    return _powers(call, x, 2)


def _exponential(call: Call, x: str) -> str:
    return call.emit("exp", [x], "exp")


def arg_max(call: Call) -> str:
    return _position(call, call.activation())


def arg_min(call: Call) -> str:
    return _position(call, call.emit("neg", [call.activation()], "neg"))


def _position(call: Call, x: str) -> str:
    """Of the largest value, the first one of equals."""
    call.require(not call.attr("select_last_index", 0), "select_last_index=1; only the first has a row")
    axis, keeps = call.axis(call.attr("axis", 0), x), call.attr("keepdims", 1)
    call.require(axis > 0, "goes over the batch; name another axis")
    y = call.emit("argmax", [x], "position" if keeps else "", axis=axis)
    if not keeps:
        return y
    shape = call.shape(x)
    return call.emit("reshape", [y], shape=(*shape[:axis], 1, *shape[axis + 1:]))


def lp_normalization(call: Call) -> str:
    """x / its p-norm along the axis."""
    x, p = call.activation(), call.attr("p", 2)
    axis = call.axis(call.attr("axis", -1), x)
    call.require(p in (1, 2) and axis > 0, f"p={p}, axis={axis}; only 1 and 2 and not the batch have a row")
    sums = call.emit("sum", [_powers(call, x, p)], "sums", axes=(axis,), keepdims=True)
    return call.emit("div", [x, call.emit("sqrt", [sums], "norm") if p == 2 else sums])


POOL: Mapping[str, Rule] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "LpPool": lp_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "GlobalLpPool": global_lp_pool,
    "ReduceMean": reduction("mean"),
    "ReduceSum": reduction("sum"),
    "ReduceMax": reduction("reduce_max"),
    "ReduceMin": reduction("reduce_min"),
    "ReduceL1": reduction("sum", _magnitude),
    "ReduceL2": reduction("sum", _square, "sqrt"),
    "ReduceSumSquare": reduction("sum", _square),
    "ReduceLogSum": reduction("sum", after="log"),
    "ReduceLogSumExp": reduction("sum", _exponential, "log"),
    "ArgMax": arg_max,
    "ArgMin": arg_min,
    "LpNormalization": lp_normalization,
}
