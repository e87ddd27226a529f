"""One ATen call as its rule sees it, and steps that rules share. Knows no torch, only names and values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.layout import TO_FIRST, TO_LAST

ONLY_CONSTANTS = "only constants have a row"


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter, buffer or folded value. name: its path in the module, "" where it has none."""

    name: str
    array: np.ndarray


@dataclass(frozen=True)
class Call:
    """One ATen call as its rule sees it.

    op:     "conv2d", without overload or the underscore of an in-place variant
    name:   of the tensor that the rule makes
    args:   argument name of the ATen schema -> value: a tensor's name, a Constant, or a plain Python value
    result: shape of what the call returns
    shared: (parameter, layout) -> tensor already made of it
    """

    op: str
    name: str
    args: Mapping[str, object]
    result: tuple[int, ...]
    build: Builder
    shared: dict[tuple[str, str], str] = field(default_factory=dict)

    def __getitem__(self, argument: str):
        return self.args[argument]

    def get(self, *arguments: str, default=None):
        """The first of these arguments that the call has."""
        return next((self.args[a] for a in arguments if a in self.args), default)

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.build.tensors[tensor].shape

    def emit(self, kind: str, inputs: list[str], step: str = "", **attrs) -> str:
        """Append an op; its output has the call's name, or `name:step` on the way there."""
        return self.build.op(kind, inputs, f"{self.name}:{step}" if step else self.name, **attrs)

    def tensor(self, value, role: str = "constant") -> str:
        """An operand: an activation's name as it is, a Constant or a number as a float32 constant."""
        if isinstance(value, str):
            return value
        if isinstance(value, Constant):
            return self.weight(value, "as it is", value.array, role)
        return self.build.constant(f"{self.name}.{role}", np.array([value], np.float32))

    def weight(self, value: Constant, layout: str, arranged: np.ndarray, role: str) -> str:
        """The constant as `arranged` for the Graph; one tensor for all who read it in the same layout."""
        key = value.name, layout
        if not value.name or key not in self.shared:
            data = np.ascontiguousarray(arranged, np.float32)
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


def activation(call: Call, *arguments: str) -> str:
    """The input of a call as a tensor name; the folded constants never get here."""
    value = call.get(*(arguments or ("self", "input")))
    call.require(isinstance(value, str), "works on a constant where it should work on the input")
    return value


def constant(call: Call, argument: str) -> Constant:
    value = call[argument]
    call.require(isinstance(value, Constant), f"{argument} is computed from the input; {ONLY_CONSTANTS}")
    return value


def spatial_axes(call: Call, x: str) -> int:
    """How many axes a window slides over: the digit in the call's name, before "d"."""
    spatial = int(call.op.rstrip("d")[-1])
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


def from_image(call: Call, y: str) -> str:
    """Back to the rank and order of the call's result, under its name."""
    if len(call.result) == 3:
        n, _, length, channels = call.shape(y)
        y = call.emit("reshape", [y], "sequence", shape=(n, length, channels))
    return call.emit("transpose", [y], perm=TO_FIRST[len(call.result)])


def pair(values, spatial: int, default: int) -> tuple[int, int]:
    """A kernel, stride or dilation for (height, width); a sequence has height `default`."""
    values = tuple(values) if isinstance(values, list | tuple) else (values,)
    values = values * spatial if len(values) == 1 else values
    return values if spatial == 2 else (default, *values)
