"""The model in flight: one immutable graph, channels last, static shapes.

The tensor name is the key everywhere: graph, statistics, quantization parameters, .tflite tensor, ONNX value,
C symbol, report row. An op is named by its first output.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
import hashlib
import json

import numpy as np

from toolchain.ir.quant import QuantParams

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the graph.

    shape: all dimensions known; axis 0 of an activation is the batch, always 1
    dtype: numpy name: "float32", "int8", "uint8", "int16", "int32", "int64", "bool"
    data:  the value of a constant, else None
    quant: how integer codes stand for reals, None for plain numbers
    """

    name: str
    shape: Shape
    dtype: str = "float32"
    data: np.ndarray | None = None
    quant: QuantParams | None = None

    @property
    def is_constant(self) -> bool:
        return self.data is not None

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def constant(name: str, data: np.ndarray, quant: QuantParams | None = None) -> Tensor:
    """A Tensor that holds `data`."""
    data = np.asarray(data)
    return Tensor(name, data.shape, data.dtype.name, data, quant)


@dataclass(frozen=True, eq=False)
class Op:
    """One node: `kind` is a key of `ops.OPS`, `inputs` are tensor names in TFLite's order.

    attrs:     plain Python values; the row in `ops.OPS` lists them with their defaults
    internals: tensors that the op owns
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, object] = field(default_factory=dict)
    internals: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.outputs[0]


@dataclass(frozen=True)
class Source:
    """Where a graph came from and how well it was checked. Not part of the digest.

    format:      "torch" | "onnx" | "tflite" | "keras" | "graph"
    path:        file, or file.py:function
    sha256:      of the file's bytes, of a folder's files and their paths, "" where there is none
    worst_error: largest |reference - source runtime| of the self-check, as a share of the output's range
    notes:       what the door bound or changed, in words ("batch bound to 1")
    ports:       (input or output, its name in the source's signature) where that is another
    """

    format: str = "graph"
    path: str = ""
    sha256: str = ""
    worst_error: float | None = None
    notes: tuple[str, ...] = ()
    ports: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Frames:
    """What an input's numbers stand for: real value = (pixel - mean) / std, pixels in 0..255.

    mean, std: one number, or one per channel
    colour:    order of the channels: "rgb", "bgr", "gray", "" where it is not known
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    colour: str = ""

    def __str__(self) -> str:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.colour} pixels 0..255, mean {mean}, std {std}".lstrip()


@dataclass(frozen=True)
class Metadata:
    """What the numbers that go in and out stand for. Not part of the digest: no op depends on it.

    labels: names of the classes along the last axis of the first output, () where they are not known
    frames: input name -> Frames, of images whose normalization is known
    """

    labels: tuple[str, ...] = ()
    frames: Mapping[str, Frames] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Graph:
    """Tensors, and ops in topological order but for what a state becomes (`ir.loops`).

    permutations: for each graph input or output whose layout in the source differs: the axes such that
                  source value = inner value transposed by them.
    """

    name: str
    tensors: Mapping[str, Tensor]
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    permutations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source: Source = Source()
    metadata: Metadata = Metadata()

    @cached_property
    def producers(self) -> Mapping[str, Op]:
        """The op that writes each tensor."""
        return {name: op for op in self.ops for name in op.outputs}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Op, ...]]:
        """The ops that read each tensor, in order; an op that reads it twice is listed once."""
        readers: dict[str, list[Op]] = {name: [] for name in self.tensors}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                readers[name].append(op)
        return {name: tuple(ops) for name, ops in readers.items()}

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return tuple(t for t in self.tensors.values() if t.is_constant)

    @property
    def activations(self) -> tuple[Tensor, ...]:
        return tuple(t for t in self.tensors.values() if not t.is_constant)

    @property
    def parameters(self) -> int:
        """How many numbers the constants hold."""
        return sum(t.size for t in self.constants)

    def of(self, op: Op) -> tuple[Tensor, ...]:
        """The op's input tensors."""
        return tuple(self.tensors[name] for name in op.inputs)

    def with_tensors(self, *changed: Tensor) -> "Graph":
        """The same graph with tensors added or replaced."""
        return replace(self, tensors={**self.tensors, **{t.name: t for t in changed}})

    def with_ops(self, ops: Iterable[Op]) -> "Graph":
        """The same graph with other ops; tensors that nothing uses any more are dropped."""
        ops = tuple(ops)
        used = {*self.inputs, *self.outputs}
        used.update(n for op in ops for n in (*op.inputs, *op.outputs, *op.internals))
        return replace(self, ops=ops, tensors={n: t for n, t in self.tensors.items() if n in used})

    def renamed(self, names: Mapping[str, str]) -> "Graph":
        """The same graph with tensors called otherwise, old name -> new."""
        def new(name: str) -> str:
            return names.get(name, name)

        ops = tuple(replace(op, inputs=tuple(map(new, op.inputs)), outputs=tuple(map(new, op.outputs)))
                    for op in self.ops)
        tensors = {new(name): replace(tensor, name=new(name)) for name, tensor in self.tensors.items()}
        ends = {end: tuple(map(new, getattr(self, end))) for end in ("inputs", "outputs")}
        permutations = {new(name): perm for name, perm in self.permutations.items()}
        frames = {new(name): frames for name, frames in self.metadata.frames.items()}
        return replace(self, ops=ops, tensors=tensors, permutations=permutations,
                       metadata=replace(self.metadata, frames=frames), **ends)

    @cached_property
    def digest(self) -> str:
        """sha256 of what the graph computes and what its tensors are called.

        It does not depend on the order of dicts, on the machine, on the source or on the metadata.
        """
        head = {
            "name": self.name,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "permutations": sorted(self.permutations.items()),
            "ops": [(op.kind, op.inputs, op.outputs, sorted(op.attrs.items()), op.internals)
                    for op in self.ops],
            "tensors": [_tensor_key(self.tensors[n]) for n in sorted(self.tensors)],
        }
        digest = hashlib.sha256(json.dumps(head, separators=(",", ":")).encode())
        for name in sorted(self.tensors):
            if self.tensors[name].is_constant:
                digest.update(_little_endian(self.tensors[name].data))
        return digest.hexdigest()


def live_ops(ops: Iterable[Op], outputs: Iterable[str]) -> tuple[Op, ...]:
    """The ops that `outputs` depend on, in the same order. A state depends on what is made behind it."""
    ops, needed, known = tuple(ops), set(outputs), -1
    while known < len(needed):
        known = len(needed)
        for op in reversed(ops):
            if needed.intersection(op.outputs):
                needed.update(op.inputs)
    return tuple(op for op in ops if needed.intersection(op.outputs))


def unique_name(name: str, *taken: Container[str]) -> str:
    """`name`, or `name.N` with the first N such that it is in none of `taken`."""
    candidate, count = name, 0
    while any(candidate in names for names in taken):
        count += 1
        candidate = f"{name}.{count}"
    return candidate


def _tensor_key(tensor: Tensor) -> tuple:
    quant = tensor.quant
    codes = None if quant is None else (
        _little_endian(quant.scale).hex(), _little_endian(quant.zero_point).hex(), quant.axis, quant.dtype)
    return tensor.name, tensor.shape, tensor.dtype, tensor.is_constant, codes


def _little_endian(array: np.ndarray) -> bytes:
    array = np.ascontiguousarray(array)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
