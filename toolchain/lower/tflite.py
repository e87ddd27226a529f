"""Door out: a Graph becomes a .tflite file, float or int8, channels last.

The file stands alone: every buffer is inside the flatbuffer (TFLite Micro reads nothing else), 16-byte aligned as the
schema asks, and equal constants are stored once. The same graph gives the same bytes.
Source: TFLite schema version 3; for the int8 rules, the TFLite 8-bit quantization specification.
"""

from dataclasses import dataclass, field, replace
import json

from ai_edge_litert import schema_py_generated as schema
import flatbuffers
import numpy as np

from toolchain import __version__
from toolchain.errors import Unsupported
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import RANGE, QuantParams
from toolchain.load.tflite_schema import (
    ACTIVATION,
    BUILTIN,
    FILE_IDENTIFIER,
    METADATA_NAME,
    SCHEMA_VERSION,
    TENSOR_TYPE,
    WINDOWED,
    same_pads,
)
from toolchain.lower.tflite_versions import oldest_runtime, operator_version

ALIGNMENT = 16
"""Of buffers, in bytes (schema.fbs: Buffer.data force_align)."""


def write_tflite(graph: Graph, *, io: str = "int8") -> bytes:
    """The bytes of a .tflite file.

    io: dtype of a quantized graph's inputs and outputs: "int8", "uint8" (zero point 128 higher) or "float32"; the
        outer tensors keep the graph's names. A float graph has float ones whatever `io` says.
    Raises Unsupported, listing every op that the format cannot hold.
    """
    _check(graph)
    lowered = _explicit_pads(_border(graph, io))
    model = _ModelWriter()
    for name in (*lowered.inputs, *lowered.outputs):
        model.tensor(lowered.tensors[name])
    for op in lowered.ops:
        _write_op(model, lowered, op)
    return model.finish(lowered, _own_metadata(graph))


def _check(graph: Graph) -> None:
    if problems := [f"{op.kind} '{op.name}': {why}" for op in graph.ops if (why := _why_not(graph, op))]:
        raise Unsupported.listing(f"{graph.name} as .tflite", problems)


def _why_not(graph: Graph, op: Op) -> str | None:
    if op.kind == "batch_norm":
        return "TFLite has no batch normalization; fold it into the op before it (canonical)"
    if op.kind not in BUILTIN:
        return f"no TFLite operator is known for it; known are {', '.join(BUILTIN)}"
    if op.kind == "average_pool2d" and _scheme(graph, op) is None:
        return f"pads {op.attrs['pads']} that are not averaged; TFLite has SAME and VALID only"
    return None


# Borders -------------------------------------------------------------------------------------------------------------

def _border(graph: Graph, io: str) -> Graph:
    """The graph with quantize ops between int8 inputs and outputs and outer ones of dtype `io`."""
    if io == "int8":
        return graph
    before, after, inner = [], [], {}
    for name in dict.fromkeys((*graph.inputs, *graph.outputs)):
        tensor = graph.tensors[name]
        if tensor.dtype != "int8" or tensor.quant is None:
            continue
        inner[name] = _free_name(f"{name}.int8", graph)
        if name in graph.inputs:
            before.append(Op("quantize", (name,), (inner[name],)))
        else:
            after.append(Op("quantize" if io == "uint8" else "dequantize", (inner[name],), (name,)))
    renamed = [replace(op, inputs=tuple(inner.get(n, n) for n in op.inputs),
                       outputs=tuple(inner.get(n, n) for n in op.outputs)) for op in graph.ops]
    tensors = {**graph.tensors, **{inner[n]: replace(graph.tensors[n], name=inner[n]) for n in inner},
               **{n: _outer(graph.tensors[n], io) for n in inner}}
    return replace(graph, tensors=tensors, ops=(*before, *renamed, *after))


def _outer(tensor: Tensor, io: str) -> Tensor:
    if io == "float32":
        return replace(tensor, dtype="float32", quant=None)
    params = QuantParams(tensor.quant.scale, tensor.quant.zero_point + 128, dtype="uint8")
    return replace(tensor, dtype="uint8", quant=params)


def _free_name(name: str, graph: Graph) -> str:
    while name in graph.tensors:
        name += "_"
    return name


# Pads ----------------------------------------------------------------------------------------------------------------

def _kernel(graph: Graph, op: Op) -> tuple[int, int]:
    return op.attrs["kernel"] if "kernel" in op.attrs else graph.tensors[op.inputs[1]].shape[1:3]


def _axes(graph: Graph, op: Op):
    """(input size, output size, kernel, stride, dilation, pad before) of a windowed op along height and width."""
    x, y, kernel = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape, _kernel(graph, op)
    dilation = op.attrs.get("dilation", (1, 1))
    return [(x[1 + i], y[1 + i], kernel[i], op.attrs["stride"][i], dilation[i], op.attrs["pads"][2 * i])
            for i in (0, 1)]


def _read_pads(graph: Graph, op: Op) -> list[tuple[int, int]]:
    """(before, after) per axis, without what lies beyond the last window: no output depends on it."""
    return [(before, max((out - 1) * stride + (kernel - 1) * dilation + 1 - size - before, 0))
            for size, out, kernel, stride, dilation, before in _axes(graph, op)]


def _scheme(graph: Graph, op: Op) -> str | None:
    """TFLite's name for the op's pads: "VALID", "SAME", or None where it has none."""
    pads = _read_pads(graph, op)
    if pads == [(0, 0), (0, 0)]:
        return "VALID"
    same = [same_pads(size, kernel, stride, dilation) for size, _, kernel, stride, dilation, _ in _axes(graph, op)]
    full = all(out == -(-size // stride) for size, out, _, stride, _, _ in _axes(graph, op))
    return "SAME" if full and pads == same else None


def _explicit_pads(graph: Graph) -> Graph:
    """Pads that are neither SAME nor VALID become an op of their own. A max pool's are of kind "pad_lowest"."""
    ops, tensors = [], dict(graph.tensors)
    for op in graph.ops:
        if op.kind in WINDOWED and _scheme(graph, op) is None:
            x, pads = graph.tensors[op.inputs[0]], ((0, 0), *_read_pads(graph, op), (0, 0))
            shape = tuple(n + sum(pad) for n, pad in zip(x.shape, pads, strict=True))
            padded = replace(x, name=_free_name(f"{op.name}.padded", graph), shape=shape)
            tensors[padded.name] = padded
            kind = "pad_lowest" if op.kind == "max_pool2d" and not _never_negative(graph, x) else "pad"
            ops.append(Op(kind, (x.name,), (padded.name,), {"pads": pads}))
            op = replace(op, inputs=(padded.name, *op.inputs[1:]), attrs={**op.attrs, "pads": (0, 0, 0, 0)})
        ops.append(op)
    return replace(graph, tensors=tensors, ops=tuple(ops))


def _never_negative(graph: Graph, x: Tensor) -> bool:
    """Whether a max pool may pad `x` with zeros: PAD, unlike PADV2, is taken by XNNPACK."""
    if x.quant is not None:
        return int(x.quant.zero_point) == RANGE[x.dtype][0]
    maker = graph.producers.get(x.name)
    return maker is not None and {maker.kind, maker.attrs.get("activation")} & {"relu", "relu6"} != set()


# Operators -----------------------------------------------------------------------------------------------------------

def _write_op(model: "_ModelWriter", graph: Graph, op: Op) -> None:
    inputs = list(graph.of(op))
    if op.kind == "pad_lowest":
        pads, lowest = _int32(graph, op, "pads"), _lowest(graph, op)
        model.operator("PADV2", "PadV2Options", {}, [*inputs, pads, lowest], graph.tensors[op.name], op)
        return
    row = BUILTIN[op.kind]
    if row.constant:
        inputs.append(_int32(graph, op, row.constant))
    fields = _fields(op, row)
    if op.kind in WINDOWED:
        fields["padding"] = getattr(schema.Padding, _scheme(graph, op))
    model.operator(row.operator, row.options, fields, inputs, graph.tensors[op.name], op)


def _fields(op: Op, row) -> dict[str, object]:
    fields = {}
    for attr, names in row.fields.items():
        value = op.attrs[attr]
        if attr == "activation":
            value = getattr(schema.ActivationFunctionType, ACTIVATION[value])
        fields |= zip(names, value if len(names) > 1 else (value,), strict=True)
    return fields


def _int32(graph: Graph, op: Op, attr: str) -> Tensor:
    data = np.array(op.attrs[attr], np.int32)
    return Tensor(_free_name(f"{op.name}.{attr}", graph), data.shape, "int32", data)


def _lowest(graph: Graph, op: Op) -> Tensor:
    """What a max pool's padding holds: the lowest code or number, which never wins."""
    x = graph.tensors[op.inputs[0]]
    value = np.finfo(np.float32).min if x.dtype == "float32" else np.iinfo(x.dtype).min
    return Tensor(_free_name(f"{op.name}.lowest", graph), (1,), x.dtype, np.array([value], x.dtype), x.quant)


# The file ------------------------------------------------------------------------------------------------------------

class _AlignedBuilder(flatbuffers.Builder):
    """A flatbuffer builder whose byte vectors start at multiples of 16."""

    def CreateNumpyVector(self, x):
        self.StartVector(x.itemsize, x.size, ALIGNMENT if x.dtype == np.uint8 else x.dtype.alignment)
        data = x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes()
        self.head -= len(data)
        self.Bytes[self.head:self.head + len(data)] = data
        return self.EndVector()


@dataclass
class _ModelWriter:
    """Tensors, buffers and operators in order of first use."""

    tensors: dict[str, schema.TensorT] = field(default_factory=dict)
    indexes: dict[str, int] = field(default_factory=dict)
    buffers: dict[bytes, int] = field(default_factory=lambda: {b"": 0})
    codes: dict[tuple[str, int], int] = field(default_factory=dict)
    operators: list[schema.OperatorT] = field(default_factory=list)

    def tensor(self, tensor: Tensor) -> int:
        """The tensor's index in the file; it is added where it is new."""
        if tensor.name not in self.indexes:
            self.indexes[tensor.name] = len(self.indexes)
            self.tensors[tensor.name] = schema.TensorT(
                shape=np.array(tensor.shape, np.int32), name=tensor.name, quantization=_quantization(tensor.quant),
                type=getattr(schema.TensorType, TENSOR_TYPE[tensor.dtype]), buffer=self.buffer(tensor.data))
        return self.indexes[tensor.name]

    def buffer(self, data: np.ndarray | None) -> int:
        content = b"" if data is None else data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
        return self.buffers.setdefault(content, len(self.buffers))

    def operator(self, name: str, options: str | None, fields: dict, inputs: list[Tensor], output: Tensor,
                 op: Op) -> None:
        version = operator_version(name, inputs, output, op.attrs)
        written = schema.OperatorT(
            opcodeIndex=self.codes.setdefault((name, version), len(self.codes)),
            inputs=np.array([self.tensor(t) for t in inputs], np.int32),
            outputs=np.array([self.tensor(output)], np.int32))
        if options:
            written.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            written.builtinOptions = getattr(schema, options + "T")(**fields)
        self.operators.append(written)

    def finish(self, graph: Graph, own: bytes) -> bytes:
        runtime = oldest_runtime(set(self.codes)).encode().ljust(16, b"\0")
        metadata = [schema.MetadataT(name=name, buffer=self.buffers.setdefault(content, len(self.buffers)))
                    for name, content in (("min_runtime_version", runtime), (METADATA_NAME, own))]
        model = schema.ModelT(
            version=SCHEMA_VERSION, description=f"edge-toolchain {__version__}", operatorCodes=_codes(self.codes),
            subgraphs=[schema.SubGraphT(
                tensors=list(self.tensors.values()), inputs=self.ports(graph.inputs),
                outputs=self.ports(graph.outputs), operators=self.operators, name=graph.name)],
            buffers=[schema.BufferT(data=np.frombuffer(content, np.uint8) if content else None)
                     for content in self.buffers],
            metadata=metadata, signatureDefs=[self.signature(graph)])
        builder = _AlignedBuilder(sum(map(len, self.buffers)) + 65536)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def ports(self, names: tuple[str, ...]) -> np.ndarray:
        return np.array([self.indexes[name] for name in names], np.int32)

    def signature(self, graph: Graph) -> schema.SignatureDefT:
        inputs, outputs = ([schema.TensorMapT(name=name, tensorIndex=self.indexes[name]) for name in names]
                           for names in (graph.inputs, graph.outputs))
        return schema.SignatureDefT(inputs=inputs, outputs=outputs, signatureKey="serving_default", subgraphIndex=0)


def _codes(codes: dict[tuple[str, int], int]) -> list[schema.OperatorCodeT]:
    """Runtimes before TFLite 2.4 read the code from its deprecated byte, where 127 means "look at the new field"."""
    written = []
    for name, version in codes:
        code = getattr(schema.BuiltinOperator, name)
        written.append(schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127), version=version))
    return written


def _quantization(params: QuantParams | None) -> schema.QuantizationParametersT | None:
    if params is None:
        return None
    return schema.QuantizationParametersT(
        scale=np.atleast_1d(params.scale), zeroPoint=np.atleast_1d(params.zero_point).astype(np.int64),
        quantizedDimension=params.axis or 0)


def _own_metadata(graph: Graph) -> bytes:
    content = {"graph_digest": graph.digest, "permutations": dict(sorted(graph.permutations.items()))}
    return json.dumps(content, separators=(",", ":")).encode()
