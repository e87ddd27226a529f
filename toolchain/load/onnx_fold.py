"""ONNX nodes whose inputs are all constants: arithmetic on shapes and weights that exporters leave in a
file."""

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np

LIMIT = 1 << 26
"""Most elements that a constant computed here may have; a few bytes of a file must not ask for more."""

Arrays = list[np.ndarray | None]
Attrs = Mapping[str, object]


def fold(op: str, arrays: Arrays, attrs: Attrs) -> np.ndarray:
    """The node's result. Raises ValueError, TypeError or IndexError where the inputs do not go together."""
    return np.asarray(FOLD[op](arrays, attrs))


def _constant(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    (name, value), = attrs.items()
    if name == "value":
        return value
    return np.array(value, {"value_float": np.float32, "value_int": np.int64}[name.removesuffix("s")])


def _axes(arrays: Arrays, attrs: Attrs) -> tuple[int, ...] | None:
    axes = attrs.get("axes", arrays[1] if len(arrays) > 1 else None)
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def _bounded(shape) -> tuple[int, ...]:
    sizes = tuple(int(n) for n in np.ravel(shape))
    if min(sizes, default=1) < 0 or np.prod(sizes, dtype=np.float64) > LIMIT:
        raise ValueError(f"a constant of shape {sizes} is beyond {LIMIT:,} elements")
    return sizes


def _constant_of_shape(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    fill = np.ravel(attrs.get("value", np.zeros(1, np.float32)))
    return np.full(_bounded(arrays[0]), fill[0])


def _cast(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    from onnx import helper

    return arrays[0].astype(helper.tensor_dtype_to_np_dtype(attrs["to"]))


def _slice(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    """Attributes before opset 10, inputs since then: data, starts, ends, axes, steps."""
    given = [attrs.get(name, arrays[i] if i < len(arrays) else None)
             for i, name in enumerate(("data", "starts", "ends", "axes", "steps"))]
    starts, ends = np.ravel(given[1]), np.ravel(given[2])
    axes = range(len(starts)) if given[3] is None else np.ravel(given[3])
    steps = [1] * len(starts) if given[4] is None else np.ravel(given[4])
    index = [slice(None)] * arrays[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        to_the_front = step < 0 and end < -arrays[0].shape[int(axis)]
        index[int(axis)] = slice(int(start), None if to_the_front else int(end), int(step))
    return arrays[0][tuple(index)]


def _reshape(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    x, wanted = arrays[0], arrays[1].tolist()
    if not attrs.get("allowzero"):
        wanted = [n or x.shape[axis] for axis, n in enumerate(wanted)]
    return x.reshape(wanted)


def _range(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    start, limit, step = (array.item() for array in arrays)
    _bounded([max(0, -(-(limit - start) // step))])
    return np.arange(start, limit, step, arrays[0].dtype)


def _expand(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    shape = np.broadcast_shapes(arrays[0].shape, tuple(arrays[1].tolist()))
    return np.broadcast_to(arrays[0], _bounded(shape))


def _unsqueeze(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return np.expand_dims(arrays[0], _axes(arrays, attrs))


def _shape(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return np.array(arrays[0].shape, np.int64)[attrs.get("start", 0):attrs.get("end")]


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integers are cut off towards zero."""
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise ValueError("divides a whole number by 0")
    return np.trunc(a / b).astype(a.dtype)


def _modulo(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind != "f" and not np.all(b):
        raise ValueError("divides a whole number by 0")
    return np.mod(a, b)


def _elementwise(function: Callable[..., np.ndarray]) -> Callable[[Arrays, Attrs], np.ndarray]:
    """Operands that broadcast; the result in the first one's type, or bool."""
    def rule(arrays: Arrays, attrs: Attrs) -> np.ndarray:
        _bounded(np.broadcast_shapes(*(array.shape for array in arrays)))
        y = np.asarray(function(*arrays))
        return y if y.dtype == bool else y.astype(arrays[-1].dtype, copy=False)
    return rule


def _many(function: Callable[..., np.ndarray]) -> Callable[[Arrays, Attrs], np.ndarray]:
    """Any number of operands, two at a time."""
    return lambda arrays, attrs: reduce(lambda a, b: _elementwise(function)([a, b], attrs), arrays)


def _reduced(function: Callable[..., np.ndarray]) -> Callable[[Arrays, Attrs], np.ndarray]:
    def rule(arrays: Arrays, attrs: Attrs) -> np.ndarray:
        axes = _axes(arrays, attrs)
        if not axes and attrs.get("noop_with_empty_axes"):
            return arrays[0]
        y = function(arrays[0], axis=axes or None, keepdims=bool(attrs.get("keepdims", 1)))
        return np.asarray(y).astype(arrays[0].dtype)
    return rule


def _tile(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    _bounded(np.array(arrays[0].shape) * arrays[1])
    return np.tile(arrays[0], arrays[1])


def _trilu(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    cut = np.triu if attrs.get("upper", 1) else np.tril
    return cut(arrays[0], int(arrays[1].item()) if len(arrays) > 1 else 0)


def _matmul(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    a, b = arrays
    _bounded((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *a.shape[-2:-1], *b.shape[1:][-1:]))
    return a @ b


def _flatten(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return arrays[0].reshape(int(np.prod(arrays[0].shape[:attrs.get("axis", 1)])), -1)


def _scatter_elements(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    if attrs.get("reduction", "none") != "none":
        raise ValueError(f"reduction={attrs['reduction']} of constants")
    data = arrays[0].copy()
    np.put_along_axis(data, arrays[1], arrays[2], attrs.get("axis", 0))
    return data


def _scatter_nd(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    if attrs.get("reduction", "none") != "none":
        raise ValueError(f"reduction={attrs['reduction']} of constants")
    data = arrays[0].copy()
    data[tuple(np.moveaxis(arrays[1], -1, 0))] = arrays[2]
    return data


def _cumulated(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    if attrs.get("exclusive") or attrs.get("reverse"):
        raise ValueError("exclusive or reverse sums of constants")
    return np.cumsum(arrays[0], int(arrays[1].item()), arrays[0].dtype)


ELEMENTWISE: Mapping[str, Callable[..., np.ndarray]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide, "Mod": _modulo, "Pow": np.power,
    "Sqrt": np.sqrt, "Exp": np.exp, "Log": np.log, "Sin": np.sin, "Cos": np.cos, "Neg": np.negative,
    "Abs": np.abs, "Sign": np.sign, "Floor": np.floor, "Ceil": np.ceil, "Round": np.round,
    "Reciprocal": np.reciprocal, "Equal": np.equal, "Less": np.less, "LessOrEqual": np.less_equal,
    "Greater": np.greater, "GreaterOrEqual": np.greater_equal, "And": np.logical_and, "Or": np.logical_or,
    "Not": np.logical_not, "Where": np.where}
FOLD: Mapping[str, Callable[[Arrays, Attrs], np.ndarray]] = {
    **{op: _elementwise(function) for op, function in ELEMENTWISE.items()},
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    "Sum": _many(np.add),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "ReduceMean": _reduced(np.mean),
    "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min),
    "MatMul": _matmul,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Expand": _expand,
    "Tile": _tile,
    "Trilu": _trilu,
    "CumSum": _cumulated,
    "Cast": _cast,
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Unsqueeze": _unsqueeze,
    "Squeeze": lambda arrays, attrs: np.squeeze(arrays[0], _axes(arrays, attrs)),
    "Transpose": lambda arrays, attrs: np.transpose(arrays[0], attrs.get("perm")),
    "Concat": lambda arrays, attrs: np.concatenate(arrays, attrs["axis"]),
    "Gather": lambda arrays, attrs: np.take(arrays[0], arrays[1], attrs.get("axis", 0)),
    "GatherElements": lambda arrays, attrs: np.take_along_axis(arrays[0], arrays[1], attrs.get("axis", 0)),
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "NonZero": lambda arrays, attrs: np.array(np.nonzero(arrays[0]), np.int64),
    "Shape": _shape,
    "Size": lambda arrays, attrs: np.array(arrays[0].size, np.int64),
    "Identity": lambda arrays, attrs: arrays[0],
    "Dropout": lambda arrays, attrs: arrays[0],
}
