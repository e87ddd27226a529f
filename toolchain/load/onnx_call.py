"""One ONNX node as its rule sees it, and steps that rules share. Knows no onnx, only names and values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.build import Builder
from toolchain.ir.layout import TO_FIRST, TO_LAST
from toolchain.ir.quant import QuantParams, dequantize

LARGEST = 1 << 26
"""Elements of a constant that is no weight of the file."""
ONLY_CONSTANTS = "only constants have a row"
Value = str | np.ndarray
"""What an ONNX value is here: the name of an activation of the graph, or the array of a constant."""
Rule = Callable[["Call"], Value | tuple[Value, ...]]


@dataclass(frozen=True)
class Grid:
    """What codes in a file mean: real = scale * (code - zero_point).

    scale, zero_point: one of each, or one for each slice along `axis`
    dtype:             of the codes of a constant as a Graph has them
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None
    dtype: str = "int8"

    def reals(self, codes: np.ndarray) -> np.ndarray:
        shape = [1] * codes.ndim
        if self.axis is not None:
            shape[self.axis] = -1
        steps = codes.astype(np.int64) - self.zero_point.astype(np.int64).reshape(shape)
        return (self.scale.reshape(shape) * steps.astype(np.float32)).astype(np.float32)

    def params(self, shift: int) -> QuantParams:
        """Of codes that lie `shift` lower, one scale for all."""
        zero_point = self.zero_point.reshape(()).astype(np.int32) - shift
        return QuantParams(self.scale.reshape(()), zero_point, dtype=self.dtype)

    def codes(self, reals: np.ndarray, channels: int) -> tuple[np.ndarray, QuantParams] | None:
        """Codes that stand for exactly these reals, scales along `channels`; None where there are none."""
        one = self.axis is None
        if not one and reals.shape[channels:channels + 1] != self.scale.shape:
            return None
        scale = self.scale.reshape(()) if one else self.scale
        zero_point = np.broadcast_to(self.zero_point.reshape(() if one else -1), scale.shape)
        params = QuantParams(scale, zero_point, None if one else channels, self.dtype)
        steps, zero = params.along(reals.ndim)
        codes = (np.rint(reals.astype(np.float64) / steps.astype(np.float64)) + zero).astype(self.dtype)
        return (codes, params) if np.array_equal(dequantize(codes, params), reals) else None


@dataclass(frozen=True)
class Call:
    """op:      the ONNX operator
    outputs: names of the tensors that the rule makes
    inputs:  the values, None where an optional one is left out
    sources: the values' names
    shared:  (constant, layout) -> tensor already made of it
    grids:   constants whose reals the file has as codes -> what these mean
    rows:    tensor -> those that lie along its first axis
    """

    op: str
    outputs: tuple[str, ...]
    inputs: tuple[Value | None, ...]
    sources: tuple[str, ...]
    attrs: Mapping[str, object]
    opset: int
    build: Builder
    shared: dict[tuple[str, str], str] = field(default_factory=dict)
    grids: dict[str, "Grid"] = field(default_factory=dict)
    rows: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The first output that is not left out."""
        return next(filter(None, self.outputs))

    def attr(self, name: str, default=None):
        value = self.attrs.get(name, default)
        return tuple(value) if isinstance(value, list) else value

    def input(self, index: int) -> Value | None:
        return self.inputs[index] if index < len(self.inputs) else None

    def setting(self, name: str, index: int):
        """What was an attribute in older opsets and is an input since: a number, a tuple for a vector, or
        None."""
        value = self.attrs.get(name, self.input(index))
        self.require(not isinstance(value, str), f"{name} is computed from the input; {ONLY_CONSTANTS}")
        plain = np.asarray(value).tolist() if value is not None else None
        return tuple(plain) if isinstance(plain, list) else plain

    def activation(self, index: int = 0) -> str:
        value = self.input(index)
        self.require(isinstance(value, str), f"input {index} is a constant where an activation should be")
        return value

    def constant(self, index: int, role: str) -> np.ndarray:
        """float32"""
        value = self.input(index)
        self.require(not isinstance(value, str), f"{role} is computed from the input; {ONLY_CONSTANTS}")
        self.require(value is not None and value.dtype == np.float32,
                     f"{role} is {'missing' if value is None else value.dtype}; only float32 has a row")
        return value

    def scalar(self, index: int) -> float | None:
        """The number that a constant input of one element holds, else None."""
        value = self.input(index)
        return value.item() if isinstance(value, np.ndarray) and value.size == 1 else None

    def shape(self, tensor: str) -> tuple[int, ...]:
        return self.build.tensors[tensor].shape

    def dtype(self, tensor: str) -> str:
        return self.build.tensors[tensor].dtype

    def rank(self, tensor: str) -> int:
        return len(self.shape(tensor))

    def axis(self, axis: int, tensor: str) -> int:
        """Counted from the front. Raises ValueError where the tensor has no such axis."""
        rank = self.rank(tensor)
        if not -rank <= axis < rank:
            raise ValueError(f"axis {axis} of a tensor with {rank}")
        return axis % rank

    def emit(self, kind: str, inputs: list[str], step: str = "", **attrs) -> str:
        """Append an op; its output has the call's name, or `name:step` on the way there. What moves codes
        gives codes of the same meaning."""
        quant = None if kind == "dequantize" else self.build.tensors[inputs[0]].quant
        return self.build.op(kind, inputs, f"{self.name}:{step}" if step else self.name, quant=quant, **attrs)

    def fresh(self, role: str, data) -> str:
        """A constant of the rule's own; float32 unless it is an array of another type."""
        data = data if isinstance(data, np.ndarray) else np.float32(data)
        return self.build.constant(f"{self.name}:{role}", data)

    def bounded(self, *sizes: int) -> None:
        """Raises ValueError where a constant that the rule is about to make is too large: a few bytes of a
        file must not ask for more."""
        if prod(sizes) > LARGEST:
            raise ValueError(f"asks for a constant of {prod(sizes):,} elements; {LARGEST:,} are made")

    def weight(self, index: int, layout: str, arranged: np.ndarray, channels: int = 0) -> str:
        """Constant input `index` as `arranged` for the Graph; one tensor for all who read it so.

        channels: axis of `arranged` that the scales run along, where the file holds codes
        """
        key = self.sources[index], layout
        if key not in self.shared:
            wide = arranged.astype(np.float32) if arranged.dtype == np.float64 else arranged
            self.shared[key] = self._stored(key[0], np.asarray(wide, order="C"), channels)
        return self.shared[key]

    def _stored(self, name: str, reals: np.ndarray, channels: int) -> str:
        """A constant; codes with a dequantize behind them where the file has codes that give these reals."""
        coded = self.grids[name].codes(reals, channels) if name in self.grids else None
        if coded is None:
            return self.build.constant(name, reals)
        return self.build.op("dequantize", [self.build.constant(f"{name}:codes", *coded)], name)

    def vector(self, index: int, size: int, role: str) -> str:
        """A per-channel parameter; zeros where the optional input is left out."""
        if self.input(index) is None:
            return self.build.constant(f"{self.name}.{role}", np.zeros(size, np.float32))
        return self.weight(index, "as it is", self.constant(index, role))

    def operand(self, index: int) -> str:
        """An activation's name as it is, a constant as a tensor."""
        value = self.input(index)
        if isinstance(value, str):
            return value
        self.require(value is not None, f"input {index} is missing")
        return self.weight(index, "as it is", value)

    def require(self, holds: bool, why: str) -> None:
        if not holds:
            raise Unsupported(why)


def to_image(call: Call, x: str) -> str:
    """[N, C, H, W] or [N, C, L] as [N, H, W, C], H = 1 for a sequence."""
    shape = call.shape(x)
    call.require(len(shape) in TO_LAST, f"works on shape {shape}; only [N, C, L] and [N, C, H, W] have a row")
    y = call.emit("transpose", [x], "last", perm=TO_LAST[len(shape)])
    if len(shape) == 4:
        return y
    n, length, channels = call.shape(y)
    return call.emit("reshape", [y], "image", shape=(n, 1, length, channels))


def from_image(call: Call, y: str, rank: int) -> str:
    """Back to channels first and `rank` axes, under the call's name."""
    if rank == 3:
        n, _, length, channels = call.shape(y)
        y = call.emit("reshape", [y], "sequence", shape=(n, length, channels))
    return call.emit("transpose", [y], perm=TO_FIRST[rank])
