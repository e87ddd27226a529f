"""One ATen call as its rule sees it, and steps that rules share. Knows no torch, only names and values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.layout import TO_FIRST, TO_LAST

ONLY_CONSTANTS = "only constants have a row"
LARGEST = float(np.finfo(np.float32).max)
"""Stands for infinity: a constant of a Graph is finite."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter, buffer or folded value. name: its path in the module, "" where it has none."""

    name: str
    array: np.ndarray


@dataclass(frozen=True)
class Call:
    """One ATen call as its rule sees it.

    op:        "conv2d", without overload or the underscore of an in-place variant
    name:      of the tensor that the rule makes
    args:      argument name of the ATen schema -> value: a tensor's name, a Constant, or a plain Python value
    result:    shape of what the call returns; for several results, those of each
    dtype:     numpy's name for the dtype of the result, of the first of several
    shared:    (parameter, layout) -> tensor already made of it
    made:      tensor -> the call that made it
    rows:      tensor -> those that lie along its first axis
    spread_by_readers: whether all that read the result broadcast it themselves
    """

    op: str
    name: str
    args: Mapping[str, object]
    result: tuple
    build: Builder
    dtype: str = "float32"
    shared: dict[tuple[str, str], str] = field(default_factory=dict)
    made: dict[str, "Call"] = field(default_factory=dict)
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spread_by_readers: bool = False

    def __getitem__(self, argument: str):
        return self.args[argument]

    def get(self, *arguments: str, default=None):
        """The first of these arguments that the call has."""
        return next((self.args[a] for a in arguments if a in self.args), default)

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.build.tensors[tensor].shape

    def dtype_of(self, tensor: str) -> str:
        return self.build.tensors[tensor].dtype

    def emit(self, kind: str, inputs: list[str], step: str = "", **attrs) -> str:
        """Append an op; its output has the call's name, or `name:step` on the way there."""
        return self.build.op(kind, inputs, f"{self.name}:{step}" if step else self.name, **attrs)

    def part(self, kind: str, inputs: list[str], step: str, **attrs) -> str:
        """Append an op of a composition; its output, a value of its own, is called `name.step`."""
        return self.build.op(kind, inputs, f"{self.name}.{step}", **attrs)

    def tensor(self, value, dtype: str = "float32", role: str = "constant") -> str:
        """An operand of this dtype: an activation, cast where it has another; a Constant or a number."""
        if isinstance(value, str):
            return self.cast(value, dtype)
        if isinstance(value, Constant):
            return self.weight(value, "as it is", value.array, role, dtype)
        finite = min(max(value, -LARGEST), LARGEST) if isinstance(value, float) else value
        data = np.full((1,) if self.result else (), finite, dtype)
        return self.build.constant(f"{self.name}.{role}", data)

    def cast(self, x: str, dtype: str, step: str = "cast") -> str:
        """`x` as it is where it has this dtype; a truth value is whether it differs from 0."""
        have = self.dtype_of(x)
        if have == dtype:
            return x
        output = f"{self.name}.{step}" if step else self.name
        if dtype != "bool":
            return self.build.op("cast", [x], output, to=dtype)
        zero = self.build.constant(f"{self.name}.zero", np.zeros((1,) * min(1, len(self.shape(x))), have))
        return self.build.op("compare", [x, zero], output, relation="not_equal")

    def weight(self, value: Constant, layout: str, arranged: np.ndarray, role: str,
               dtype: str = "float32") -> str:
        """The constant as `arranged` for the Graph; one tensor for all who read it in the same layout."""
        key = value.name, f"{layout} {dtype}"
        if not value.name or key not in self.shared:
            data = np.ascontiguousarray(arranged, dtype)
            if data.dtype.kind == "f" and not value.name:
                data = np.where(np.isinf(data), np.sign(data) * np.float32(LARGEST), data)
            self.shared[key] = self.build.constant(value.name or f"{self.name}.{role}", data)
        return self.shared[key]

    def vector(self, value: Constant | None, size: int, fill: float, role: str) -> str:
        """A per-channel parameter, or `size` times `fill` where the source has none."""
        if value is None:
            return self.build.constant(f"{self.name}.{role}", np.full(size, fill, np.float32))
        self.require(isinstance(value, Constant), f"{role} is computed from the input; {ONLY_CONSTANTS}")
        return self.weight(value, "as it is", value.array, role)

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Unsupported(why)


Rule = Callable[[Call], "str | tuple[str | None, ...]"]
"""Appends the ops of a call and returns the name of its result, or those of several."""


def activation(call: Call, *arguments: str) -> str:
    """The input of a call as a tensor name; the folded constants never get here."""
    value = call.get(*(arguments or ("self", "input")))
    call.require(isinstance(value, str), "works on a constant where it should work on the input")
    return value


def constant(call: Call, argument: str) -> Constant:
    value = call[argument]
    call.require(isinstance(value, Constant), f"{argument} is computed from the input; {ONLY_CONSTANTS}")
    return value


def axis_of(call: Call, x: str, dim: int) -> int:
    """The axis that `dim` counts, which may not be the first."""
    axis = dim % max(1, len(call.shape(x)))
    call.require(axis > 0, "goes over the batch; name another axis")
    return axis


def axis_beside_batch(call: Call, x: str, dim: int) -> int:
    """The axis that `dim` counts, which may be the first where that has taken the batch's place: the batch's
    size is 1."""
    return 0 if dim % max(1, len(call.shape(x))) == 0 < call.shape(x)[0] - 1 else axis_of(call, x, dim)


def axes_of(call: Call, x: str, dims) -> tuple[int, ...]:
    """The axes that `dims` count, in order: a number, a list, or None for all; none may be the batch: a first
    axis of size 1."""
    shape = call.shape(x)
    dims = [dims] if isinstance(dims, int) else (dims or range(len(shape)))
    axes = tuple(sorted(d % len(shape) for d in dims))
    call.require(0 not in axes or shape[0] > 1, "goes over the batch; name the other axes")
    return axes


def spatial_axes(call: Call, x: str) -> int:
    """How many axes a window slides over: the digit in the call's name, before "d"."""
    spatial = int(call.op.removesuffix("_with_indices").rstrip("d")[-1])
    return require_spatial(call, x, spatial)


def require_spatial(call: Call, x: str, spatial: int) -> int:
    shape = call.shape(x)
    call.require(len(shape) == spatial + 2, f"input has shape {shape}; a batch axis is needed")
    return spatial


def to_image(call: Call, x: str) -> str:
    """[N, C, H, W] or [N, C, L] as [N, H, W, C], H = 1 for a sequence."""
    rank = len(call.shape(x))
    call.require(rank in TO_LAST, f"input has shape {call.shape(x)}; only 1 or 2 spatial axes have a row")
    y = call.emit("transpose", [x], "last", perm=TO_LAST[rank])
    if rank == 4:
        return y
    n, length, channels = call.shape(y)
    return call.emit("reshape", [y], "image", shape=(n, 1, length, channels))


def from_image(call: Call, y: str, step: str = "") -> str:
    """Back to the rank and order of the call's result, under its name."""
    result = call.result if isinstance(call.result[0], int) else call.result[0]
    if len(result) == 3:
        n, _, length, channels = call.shape(y)
        y = call.emit("reshape", [y], "sequence", shape=(n, length, channels))
    return call.emit("transpose", [y], step, perm=TO_FIRST[len(result)])


def pair(values, spatial: int, default: int) -> tuple[int, int]:
    """A kernel, stride or dilation for (height, width); a sequence has height `default`."""
    values = tuple(values) if isinstance(values, list | tuple) else (values,)
    values = values * spatial if len(values) == 1 else values
    return values if spatial == 2 else (default, *values)


def cut(call: Call, x: str, axis: int, span: slice, step: str) -> str:
    """`x` sliced along one axis; `span` is Python's, already within its bounds."""
    shape = call.shape(x)
    begin, end, strides = ([0] * len(shape), list(shape), [1] * len(shape))
    begin[axis], end[axis], strides[axis] = span.start, span.stop, span.step or 1
    call.require(begin[axis] < end[axis], f"takes nothing of axis {axis} of {shape}")
    attrs = {"begin": begin, "end": end, "strides": strides}
    return call.emit("slice", [x], step, **attrs)


def take(call: Call, x: str, axis: int, order, step: str) -> str:
    """`x` with the constant `order` of positions along one axis."""
    order = np.asarray(order, np.int32)
    if np.array_equal(order, np.arange(call.shape(x)[axis])):
        return x
    indices = call.build.constant(f"{call.name}.order", order)
    return call.emit("gather", [x, indices], step, axis=axis)
