"""A Graph of any level in one file: constants bit for bit, and everything that is said of it.

A sealed msgpack of plain values; nothing that is read is run, nothing is larger than the file.
"""

from collections.abc import Callable, Mapping
import math
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from toolchain.atomic import read_sealed, write_sealed
from toolchain.errors import BadInput, about
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph, Metadata, Op, Source, Tensor
from toolchain.ir.quant import QuantParams

Dtype = Literal["float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64", "bool"]
Keep = Callable[[str, Callable[[], Graph]], Graph]
"""(key, how it is made) -> a graph, which is made once."""
PLAIN = (bool, int, float, str, type(None))
"""What attributes are made of, in tuples of any depth."""
MISSHAPEN = (TypeError, ValueError, IndexError, KeyError, AttributeError, ArithmeticError)
"""What a check of numbers raises for an attribute that is text, nothing, or nested otherwise."""


class QuantRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """scale, zero_point: little-endian float32 and int32, one or, along an axis, several"""

    scale: bytes
    zero_point: bytes
    axis: int | None
    dtype: str


class TensorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """data: little-endian, of a constant"""

    name: str
    shape: tuple[int, ...]
    dtype: Dtype
    data: bytes | None
    quant: QuantRecord | None


class OpRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `Op`."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: dict[str, object]
    internals: tuple[str, ...]


class GraphRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As `Graph`."""

    schema: Literal["edge.graph"] = "edge.graph"
    schema_version: Literal[1] = 1
    name: str
    tensors: tuple[TensorRecord, ...]
    ops: tuple[OpRecord, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    permutations: dict[str, tuple[int, ...]]
    source: Source
    metadata: Metadata


def write_graph(path: Path, graph: Graph) -> None:
    """Write the file whole or not at all. Raises BadInput where nothing can be written there."""
    record = GraphRecord(
        name=graph.name, tensors=tuple(map(_tensor_record, graph.tensors.values())),
        ops=tuple(OpRecord(op.kind, op.inputs, op.outputs, dict(op.attrs), op.internals) for op in graph.ops),
        inputs=graph.inputs, outputs=graph.outputs, permutations=dict(graph.permutations),
        source=graph.source, metadata=graph.metadata)
    write_sealed(path, msgspec.msgpack.encode(record))


def read_graph(path: Path) -> Graph:
    """The graph that `write_graph` wrote, of the same digest.

    Raises BadInput where there is no such file, or it is damaged or holds no legal graph.
    """
    try:
        graph = _graph(msgspec.msgpack.decode(read_sealed(path), type=GraphRecord))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that holds a graph") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: no graph, or a damaged one: {error}; delete it and make it again") from None
    try:
        with about(path):
            return check(graph, level_of(graph))
    except MISSHAPEN as error:
        raise BadInput(f"{path}: an attribute of an op is no such value: {error}; make it again") from None


def _graph(record: GraphRecord) -> Graph:
    """Raises ValueError where parts do not go together."""
    tensors = {one.name: _tensor(one) for one in record.tensors}
    ops = tuple(Op(op.kind, op.inputs, op.outputs, _tupled(op.attrs), op.internals) for op in record.ops)
    named = {*record.inputs, *record.outputs}
    named.update(name for op in ops for name in (*op.inputs, *op.outputs, *op.internals))
    if unknown := sorted(named - set(tensors)):
        raise ValueError(f"it has no tensor {unknown[0]}")
    if empty := [op.kind for op in ops if not op.outputs]:
        raise ValueError(f"an op {empty[0]} makes nothing")
    return Graph(record.name, tensors, ops, record.inputs, record.outputs, record.permutations, record.source,
                 record.metadata)


def _tensor_record(tensor: Tensor) -> TensorRecord:
    quant = tensor.quant and QuantRecord(_packed(tensor.quant.scale), _packed(tensor.quant.zero_point),
                                         tensor.quant.axis, tensor.quant.dtype)
    data = None if tensor.data is None else _packed(tensor.data)
    return TensorRecord(tensor.name, tensor.shape, tensor.dtype, data, quant)


def _tensor(record: TensorRecord) -> Tensor:
    data = None if record.data is None else _unpacked(record.data, record.dtype, record.shape)
    return Tensor(record.name, record.shape, record.dtype, data, record.quant and _quant(record.quant))


def _quant(record: QuantRecord) -> QuantParams:
    shape = () if record.axis is None else (len(record.scale) // 4,)
    return QuantParams(_unpacked(record.scale, "float32", shape),
                       _unpacked(record.zero_point, "int32", shape), record.axis, record.dtype)


def _packed(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _unpacked(data: bytes, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    kind = np.dtype(dtype).newbyteorder("<")
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes are no {dtype} of shape {shape}")
    return np.frombuffer(data, kind).reshape(shape).astype(dtype)


def _tupled(value: object) -> object:
    """Attributes as ops have them: msgpack has lists alone."""
    if isinstance(value, Mapping):
        return {name: _tupled(one) for name, one in value.items()}
    if isinstance(value, list):
        return tuple(map(_tupled, value))
    if not isinstance(value, PLAIN):
        raise ValueError(f"an attribute is a {type(value).__name__}")
    return value
