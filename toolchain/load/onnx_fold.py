"""ONNX nodes whose inputs are all constants: arithmetic on shapes and weights that exporters leave in a
file."""

from collections.abc import Callable, Mapping

import numpy as np

LIMIT = 1 << 28
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


def _reduce_prod(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    return np.prod(arrays[0], _axes(arrays, attrs), keepdims=bool(attrs.get("keepdims", 1)))


def _divide(arrays: Arrays, attrs: Attrs) -> np.ndarray:
    """Integers are cut off towards zero."""
    a, b = arrays
    if a.dtype.kind == "f":
        return a / b
    if not np.all(b):
        raise ValueError("divides a whole number by 0")
    return np.trunc(a / b).astype(a.dtype)


FOLD: Mapping[str, Callable[[Arrays, Attrs], np.ndarray]] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Expand": _expand,
    "Cast": _cast,
    "Slice": _slice,
    "Reshape": _reshape,
    "Unsqueeze": _unsqueeze,
    "Squeeze": lambda arrays, attrs: np.squeeze(arrays[0], _axes(arrays, attrs)),
    "Transpose": lambda arrays, attrs: np.transpose(arrays[0], attrs.get("perm")),
    "Concat": lambda arrays, attrs: np.concatenate(arrays, attrs["axis"]),
    "Gather": lambda arrays, attrs: np.take(arrays[0], arrays[1], attrs.get("axis", 0)),
    "Shape": _shape,
    "Identity": lambda arrays, attrs: arrays[0],
    "Add": lambda arrays, attrs: arrays[0] + arrays[1],
    "Sub": lambda arrays, attrs: arrays[0] - arrays[1],
    "Mul": lambda arrays, attrs: arrays[0] * arrays[1],
    "Div": _divide,
    "Sqrt": lambda arrays, attrs: np.sqrt(arrays[0]),
    "Neg": lambda arrays, attrs: -arrays[0],
    "Floor": lambda arrays, attrs: np.floor(arrays[0]),
    "Ceil": lambda arrays, attrs: np.ceil(arrays[0]),
    "Equal": lambda arrays, attrs: np.equal(arrays[0], arrays[1]),
    "Where": lambda arrays, attrs: np.where(arrays[0], arrays[1], arrays[2]),
    "ReduceProd": _reduce_prod,
}
