"""Door out: a Graph becomes a .tflite file, float or integer, channels last.

The same graph gives the same bytes.
Sources: TFLite schema version 3; for int8, the TFLite 8-bit quantization specification.
"""

from collections.abc import Iterator
import json

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.check import level_of
from toolchain.ir.graph import Graph, Op, Tensor, unique_name
from toolchain.ir.loops import has_loops
from toolchain.ir.ops import OPS
from toolchain.ir.quant import quantize
from toolchain.ir.unrolling import unrolled
from toolchain.load.tflite_schema import (
    BUILTIN,
    CODES,
    METADATA_NAME,
    PADV2,
    RELATION,
    STRIDED_SLICE,
    TENSOR_TYPE,
    WINDOWED,
    Builtin,
)
from toolchain.lower.metadata import tflite_metadata, with_labels_file
from toolchain.lower.rewriting import rewritten
from toolchain.lower.tflite_border import with_border
from toolchain.lower.tflite_expand import EXPANSIONS, expanded, with_slopes
from toolchain.lower.tflite_file import TFLiteModel
from toolchain.lower.tflite_islands import with_islands
from toolchain.lower.tflite_steps import with_rows
from toolchain.lower.tflite_transpose import in_wide_tiles
from toolchain.lower.tflite_unsigned import with_unsigned_codes
from toolchain.lower.tflite_weights import FORMATS, with_codes, with_dequantized, with_float16
from toolchain.lower.tflite_windows import scheme, with_pads

IO = ("int8", "uint8", "float32")


def write_tflite(graph: Graph, *, io: str = "int8", input_io: str | None = None,
                 weights: str = "float32", integer_only: bool = False, origin: bool = True) -> bytes:
    """The bytes of a .tflite file.

    io: dtype of a quantized graph's inputs and outputs: "int8", "uint8" (zero point 128 higher) or "float32";
        the outer tensors keep the graph's names. A float graph has its own whatever `io` says.
    input_io: of the inputs, where that is another one
    weights:  of a float graph: "float32", "float16", or "int8" or "int4" (dynamic range quantization); those
              on a grid of 8 or 4 bits are stored as its codes
    integer_only: in a quantized graph, compute on reals only where LiteRT has no integer kernel
    origin:   whether the file says which graph it is, for which that is hashed whole
    The graph's metadata becomes TFLite Metadata in the file, and labels.txt in a zip archive behind it.
    Raises Unsupported, listing every op that the format cannot hold.
    """
    for asked in (io, input_io or io):
        if asked not in IO:
            raise BadInput(f"io={asked!r}: must be one of {', '.join(map(repr, IO))}")
    written = unrolled(graph).graph
    if problems := [f"{op.kind} '{op.name}': {why}" for op in written.ops for why in _why_not(written, op)]:
        raise Unsupported.listing(f"{graph.name} as .tflite", problems)
    if weights not in FORMATS or (weights != "float32" and level_of(graph) != "FLOAT"):
        raise BadInput(f"{graph.name}: weights={weights!r}: a float graph's are one of "
                       f"{', '.join(map(repr, FORMATS))}, a quantized graph's are as they are")
    lowered = with_rows(written) if has_loops(graph) else written
    lowered = with_border(with_border(lowered, input_io or io, graph.inputs), io, graph.outputs)
    lowered = with_islands(with_unsigned_codes(lowered), integer_only)
    for rewrite in (expanded, with_pads, in_wide_tiles, with_slopes):
        lowered = rewritten(lowered, rewrite)
    if weights != "float32":
        lowered = with_float16(lowered) if weights == "float16" else with_codes(lowered, weights)
    lowered = with_dequantized(lowered)
    model = TFLiteModel()
    for name in (*lowered.inputs, *lowered.outputs):
        model.tensor(lowered.tensors[name])
    for op in lowered.ops:
        _write_op(model, lowered, op)
    metadata = {**(_origin(graph) if origin else {}), **tflite_metadata(graph)}
    file = model.serialised(graph.name, graph.inputs, graph.outputs, metadata, dict(graph.source.ports))
    return with_labels_file(file, graph.metadata.labels)


def _origin(graph: Graph) -> dict[str, bytes]:
    own = {"graph_digest": graph.digest, "permutations": dict(sorted(graph.permutations.items()))}
    return {METADATA_NAME: json.dumps(own, separators=(",", ":")).encode()}


def _why_not(graph: Graph, op: Op) -> Iterator[str]:
    tensors = *graph.of(op), graph.tensors[op.name]
    if strange := [t for t in tensors if t.dtype not in TENSOR_TYPE]:
        yield f"tensor '{strange[0].name}' is {strange[0].dtype}; known are {', '.join(TENSOR_TYPE)}"
    if op.kind not in BUILTIN and op.kind not in EXPANSIONS and op.kind != "compare":
        yield f"no TFLite operator is known for it; known kinds are {', '.join(sorted(OPS))}"


# Operators --------------------------------------------------------------------------------------------------

def builtin_of(op: Op) -> Builtin:
    """The row that writes the op: its kind's, or what its attributes ask for."""
    if op.kind == "compare":
        return RELATION[op.attrs["relation"]]
    if op.kind == "slice" and max(op.attrs["strides"], default=1) > 1:
        return STRIDED_SLICE
    if op.kind == "pad" and op.attrs["value"] != 0:
        return PADV2
    return BUILTIN[op.kind]


def _write_op(model: TFLiteModel, graph: Graph, op: Op) -> None:
    row, inputs, output = builtin_of(op), list(graph.of(op)), graph.tensors[op.name]
    if op.kind == "transpose_conv2d":
        x, weight, bias = inputs
        inputs = [_int32(graph, op, "output_shape", output.shape), weight, x, bias]
    inputs += [_int32(graph, op, attr, _constant(op, attr)) for attr in row.constants]
    if row is PADV2:
        inputs.append(_pad_value(graph, op))
    fields = dict(_fields(row, op))
    if op.kind in WINDOWED or op.kind == "transpose_conv2d":
        fields["padding"] = getattr(schema.Padding, scheme(graph, op))
    if op.kind == "cast":
        fields["inDataType"] = CODES["to"][inputs[0].dtype]
    model.operator(row.operator, row.options, fields, inputs, output)


def _fields(row: Builtin, op: Op) -> Iterator[tuple[str, object]]:
    """The fields of the options table that attributes fill."""
    for attr, names in row.fields.items():
        value = op.attrs[attr]
        value = CODES[attr][value] if attr in CODES else value
        yield from zip(names, value if len(names) > 1 else (value,), strict=True)


def _constant(op: Op, attr: str) -> object:
    """An attribute that the file keeps in a constant; SLICE has sizes where the op has ends."""
    if attr == "size" and op.kind == "slice":
        return [end - begin for begin, end in zip(op.attrs["begin"], op.attrs["end"], strict=True)]
    return op.attrs[attr]


def _int32(graph: Graph, op: Op, role: str, value: object) -> Tensor:
    data = np.array(value, np.int32)
    return Tensor(unique_name(f"{op.name}.{role}", graph.tensors), data.shape, "int32", data)


def _pad_value(graph: Graph, op: Op) -> Tensor:
    """The number, or its code in the input's quantization."""
    x, value = graph.tensors[op.inputs[0]], np.array([op.attrs["value"]])
    data = value.astype(x.dtype) if x.quant is None else quantize(value, x.quant)
    return Tensor(unique_name(f"{op.name}.value", graph.tensors), (1,), x.dtype, data, x.quant)
