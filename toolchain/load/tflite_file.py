"""The bytes of a .tflite file as plain records, every index and length checked. The bytes are not trusted.

Flatbuffer vectors may overlap, so a small hostile file can describe endless tables: a budget that grows with
the file's size bounds what is read. Source: TFLite schema version 3.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
import math
import struct

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadModel
from toolchain.load.tflite_composite import decomposed
from toolchain.load.tflite_operators import OPERATORS
from toolchain.load.tflite_records import COMPOSITE, FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_schema import FILE_IDENTIFIER, OLD_IDENTIFIERS, SCHEMA_VERSION, TENSOR_TYPE

MAX_ELEMENTS = 2**28
"""Of one tensor: 1 GiB of float32, more than any target here holds."""
MAX_RANK = 8
MAX_CONSTANT_BYTES = 2**29
"""Of all constants. Tensors may share buffers, so the file's size is no bound."""

_DTYPE = {getattr(schema.TensorType, code): name for name, code in TENSOR_TYPE.items()}
_TYPE_NAME = {code: name for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
_OPERATOR_NAME = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_OPTIONS = {operator: row.options for operator, row in OPERATORS.items()}


def read_tflite(model: bytes, name: str) -> TFLiteFile:
    """Decode `model`, whose composites keep their names.

    Raises BadModel naming the table or tensor that cannot be right.
    """
    return _read(model, name, lambda reader: reader.file(0))


def read_decomposed(model: bytes, name: str) -> TFLiteFile:
    """As `read_tflite`, with composites replaced by what they stand for."""
    return _read(model, name, lambda reader: decomposed(reader.file(0), reader.file))


def _read(model: bytes, name: str, read: Callable[["_Reader"], TFLiteFile]) -> TFLiteFile:
    if model[4:8] in OLD_IDENTIFIERS:
        raise BadModel(f"{name}: .tflite schema version {model[7:8].decode()}, which no runtime of today "
                       f"reads; convert the source network again, which gives version {SCHEMA_VERSION}")
    if model[4:8] != FILE_IDENTIFIER:
        raise BadModel(f"{name}: not a .tflite file: bytes 4 to 8 are {bytes(model[4:8])!r}, not "
                       f"{FILE_IDENTIFIER!r}; if it is of schema version 0, which has no such mark, convert "
                       f"its source network again")
    try:
        return read(_Reader(bytes(model), name))
    except (struct.error, ValueError, IndexError, TypeError, OverflowError) as error:
        raise BadModel(f"{name}: truncated or damaged .tflite file ({error}); export it again") from None


class _Reader:
    """One pass over the tables. left: entries, numbers and letters that may still be read.

    A proper file has each in bytes of its own; a tensor's name counts again for every op that has it.
    """

    def __init__(self, model: bytes, name: str):
        self.model, self.name, self.left, self.constant_bytes = model, name, 4 * len(model), 0
        self.root = schema.Model.GetRootAs(model, 0)
        self.require(self.root.Version() == SCHEMA_VERSION,
                     f"schema version {self.root.Version()}; runtimes of today read {SCHEMA_VERSION}")
        self.buffers = self.each(self.root.BuffersLength(), self.buffer)
        self.codes = self.each(self.root.OperatorCodesLength(), self.operator)

    def bad(self, what: str) -> BadModel:
        return BadModel(f"{self.name}: {what}; the file is damaged: copy or export it again")

    def require(self, holds: object, what: str) -> None:
        if not holds:
            raise self.bad(what)

    def spend(self, amount: int) -> int:
        self.left -= amount
        self.require(self.left >= 0, f"its tables describe more than its {len(self.model):,} bytes can hold")
        return amount

    def each(self, count: int, item: Callable[[int], object]) -> list:
        return [item(i) for i in range(self.spend(count))]

    def numbers(self, table, vector: str) -> np.ndarray:
        """A vector of scalars; empty where it is absent."""
        if not self.spend(getattr(table, f"{vector}Length")()):
            return np.zeros(0, np.int64)
        return getattr(table, f"{vector}AsNumpy")()

    def indexes(self, table, vector: str, limit: int) -> tuple[int, ...]:
        """Tensor indexes, each within -1..limit - 1."""
        found = tuple(map(int, self.numbers(table, vector)))
        self.require(all(-1 <= i < limit for i in found),
                     f"{vector} {found[:8]} reach outside the {limit} tensors")
        return found

    def text(self, raw: bytes | None) -> str:
        """Up to the first NUL, where runtimes end it."""
        self.spend(len(raw or b""))
        return (raw or b"").partition(b"\0")[0].decode(errors="backslashreplace")

    def file(self, index: int) -> TFLiteFile:
        """Subgraph `index`."""
        self.require(0 <= index < self.root.SubgraphsLength(), f"it holds no subgraph {index}")
        graph, count = self.root.Subgraphs(index), self.root.Subgraphs(index).TensorsLength()
        tensors = self.each(count, lambda i: self.tensor(i, graph.Tensors(i), self.buffers))
        inputs, outputs = (self.indexes(graph, vector, count) for vector in ("Inputs", "Outputs"))
        self.require(outputs and -1 not in (*inputs, *outputs), f"it has inputs {inputs}, outputs {outputs}")
        ops = self.each(graph.OperatorsLength(),
                        lambda i: self.op(i, graph.Operators(i), self.codes, tensors))
        return TFLiteFile(self.name, _named(tensors, (*inputs, *outputs)), tuple(ops), inputs, outputs,
                          self.signature(index, (*inputs, *outputs)))

    def signature(self, subgraph: int, ports: tuple[int, ...]) -> Mapping[int, str]:
        """Names of inputs and outputs in the first signature of a subgraph; {} where it has none."""
        tables = self.each(self.root.SignatureDefsLength(), self.root.SignatureDefs)
        table = next((t for t in tables if t.SubgraphIndex() == subgraph), None)
        if table is None:
            return {}
        named = [*self.each(table.InputsLength(), table.Inputs),
                 *self.each(table.OutputsLength(), table.Outputs)]
        return {entry.TensorIndex(): self.text(entry.Name()) for entry in named
                if entry.TensorIndex() in ports and entry.Name()}

    def buffer(self, index: int) -> np.ndarray:
        """The bytes of a buffer, inside the flatbuffer or, with offset > 1, behind it (models above 2 GB)."""
        table = self.root.Buffers(index)
        offset, size = table.Offset(), table.Size()
        if offset > 1:
            self.require(offset + size <= len(self.model),
                         f"buffer {index} at byte {offset:,}, {size:,} long, ends behind the file")
            return np.frombuffer(self.model, np.uint8, size, offset)
        return table.DataAsNumpy() if table.DataLength() else np.zeros(0, np.uint8)

    def operator(self, index: int) -> str:
        table = self.root.OperatorCodes(index)
        code = max(table.BuiltinCode(), table.DeprecatedBuiltinCode())
        if code == schema.BuiltinOperator.CUSTOM:
            return f"CUSTOM {self.text(table.CustomCode())}"
        return _OPERATOR_NAME.get(code, f"operator {code}")

    def tensor(self, index: int, table, buffers: list[np.ndarray]) -> FileTensor:
        name = self.text(table.Name()) or f"tensor_{index}"
        shape = tuple(map(int, self.numbers(table, "Shape")))
        signature = tuple(map(int, self.numbers(table, "ShapeSignature"))) or None
        self.require(len(shape) <= MAX_RANK and min(shape, default=0) >= 0
                     and math.prod(shape) <= MAX_ELEMENTS, f"tensor '{name}' has shape {shape[:MAX_RANK]}")
        self.require(table.Buffer() < len(buffers),
                     f"tensor '{name}' is in buffer {table.Buffer()} of {len(buffers)}")
        dtype = _DTYPE.get(table.Type()) or _TYPE_NAME.get(table.Type(), f"type {table.Type()}")
        if table.Type() == schema.TensorType.INT4 and buffers[table.Buffer()].size:
            dtype, buffers = "int8", {table.Buffer(): self.nibbles(name, shape, buffers[table.Buffer()])}
        unusual = _unusual(table)
        data = None if unusual else self.values(name, shape, dtype, buffers[table.Buffer()])
        scale, zero_point, axis = self.quantization(name, shape, table)
        return FileTensor(index, name, shape, dtype, signature, data, scale, zero_point, axis, unusual)

    def values(self, name: str, shape: tuple[int, ...], dtype: str, raw: np.ndarray) -> np.ndarray | None:
        if not raw.size or dtype not in TENSOR_TYPE:
            return None
        little = np.dtype(dtype).newbyteorder("<")
        needed = math.prod(shape) * little.itemsize
        self.require(raw.size == needed,
                     f"constant '{name}' {dtype} {shape} needs {needed:,} bytes, has {raw.size:,}")
        self.constant_bytes += needed
        self.require(self.constant_bytes <= MAX_CONSTANT_BYTES,
                     f"its constants take more than {MAX_CONSTANT_BYTES:,} bytes")
        return np.require(raw.view(little).reshape(shape), dtype, "A")

    def nibbles(self, name: str, shape: tuple[int, ...], raw: np.ndarray) -> np.ndarray:
        """Bytes of the int4 codes that lie two to a byte, the first in the low four bits."""
        needed = -(-math.prod(shape) // 2)
        self.require(raw.size == needed,
                     f"constant '{name}' int4 {shape} needs {needed:,} bytes, has {raw.size:,}")
        pairs = np.stack([raw << 4, raw], axis=-1).view(np.int8) >> 4
        return pairs.reshape(-1)[:math.prod(shape)].view(np.uint8)

    def quantization(self, name: str, shape: tuple[int, ...], table) -> tuple[np.ndarray, np.ndarray, int]:
        """Scales, zero points and the axis that they run along."""
        params = table.Quantization()
        if params is None:
            return np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        scale, zero_point = self.numbers(params, "Scale"), self.numbers(params, "ZeroPoint")
        if not zero_point.size:
            zero_point = np.zeros(scale.size, np.int64)
        axis = params.QuantizedDimension()
        self.require(scale.size == zero_point.size,
                     f"tensor '{name}' has {scale.size} scales, {zero_point.size} zero points")
        self.require(np.all(np.abs(zero_point) < 2**31),
                     f"tensor '{name}' has zero points {zero_point[:4].tolist()}")
        self.require(scale.size <= 1 or (0 <= axis < len(shape) and shape[axis] == scale.size),
                     f"tensor '{name}' {shape} has {scale.size} scales along axis {axis}")
        return scale, zero_point, axis

    def op(self, index: int, table, codes: list[str], tensors: list[FileTensor]) -> FileOp:
        self.require(table.OpcodeIndex() < len(codes),
                     f"op {index} has operator code {table.OpcodeIndex()} of {len(codes)}")
        operator = codes[table.OpcodeIndex()]
        inputs, outputs = (self.indexes(table, vector, len(tensors)) for vector in ("Inputs", "Outputs"))
        self.spend(sum(len(tensors[i].name) for i in (*inputs, *outputs)))
        self.require(outputs and -1 not in outputs, f"op {index} {operator} has outputs {outputs}")
        if operator == COMPOSITE:
            return self.composite(index, table, inputs, outputs)
        return FileOp(index, operator, self.options(index, operator, table), inputs, outputs)

    def composite(self, index: int, table, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> FileOp:
        """Its name and the subgraph that computes it."""
        union, wanted = table.BuiltinOptions2(), schema.BuiltinOptions2.StableHLOCompositeOptions
        self.require(union is not None and table.BuiltinOptions2Type() == wanted,
                     f"op {index} {COMPOSITE} has no options")
        options = schema.StableHLOCompositeOptions()
        options.Init(union.Bytes, union.Pos)
        operator = f"{COMPOSITE} {self.text(options.Name())}"
        return FileOp(index, operator, {"subgraph": options.DecompositionSubgraphIndex()}, inputs, outputs)

    def options(self, index: int, operator: str, table) -> Mapping[str, object]:
        """Fields of the operator's options table; the schema's defaults where the file leaves it out."""
        wanted = _OPTIONS.get(operator)
        if wanted is None:
            return {}
        union, defaults = table.BuiltinOptions(), getattr(schema, f"{wanted}T")
        if union is None:
            return vars(defaults())
        self.require(table.BuiltinOptionsType() == getattr(schema.BuiltinOptions, wanted),
                     f"op {index} {operator} has options of type {table.BuiltinOptionsType()}, not {wanted}")
        return vars(defaults.InitFromBuf(union.Bytes, union.Pos))


def _unusual(table) -> str:
    quantization = table.Quantization()
    if table.Sparsity() is not None:
        return "it is stored sparse; export it dense"
    if table.IsVariable():
        return "it is a state variable; stateful networks have no row yet"
    if table.ExternalBuffer():
        return "its values are in another file; export with the weights inside"
    if quantization is not None and quantization.DetailsType():
        return "it is quantized by blocks; quantize per tensor or per channel"
    return ""


def _named(tensors: list[FileTensor], ports: tuple[int, ...]) -> tuple[FileTensor, ...]:
    """Names made unique, inputs and outputs first, so that theirs are those that a runtime shows."""
    taken, names, counts = set(), {}, Counter()
    for index in dict.fromkeys((*ports, *range(len(tensors)))):
        name = given = tensors[index].name
        while name in taken:
            counts[given] += 1
            name = f"{given}.{counts[given]}"
        taken.add(name)
        names[index] = name
    return tuple(replace(tensor, name=names[tensor.index]) for tensor in tensors)
