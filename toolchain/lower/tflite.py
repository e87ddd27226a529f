"""Door out: a Graph becomes a .tflite file, float or int8, channels last.

The same graph gives the same bytes.
Sources: TFLite schema version 3; for int8, the TFLite 8-bit quantization specification.
"""

from dataclasses import replace
import json

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import RANGE, QuantParams
from toolchain.load.tflite_schema import ACTIVATION, BUILTIN, METADATA_NAME, TENSOR_TYPE, WINDOWED, same_pads
from toolchain.lower.tflite_file import TFLiteModel

IO = ("int8", "uint8", "float32")


def write_tflite(graph: Graph, *, io: str = "int8") -> bytes:
    """The bytes of a .tflite file.

    io: dtype of a quantized graph's inputs and outputs: "int8", "uint8" (zero point 128 higher) or "float32";
        the outer tensors keep the graph's names. A float graph has float ones whatever `io` says.
    Raises Unsupported, listing every op that the format cannot hold.
    """
    if io not in IO:
        raise BadInput(f"io={io!r}: must be one of {', '.join(map(repr, IO))}")
    if problems := [f"{op.kind} '{op.name}': {why}" for op in graph.ops if (why := _why_not(graph, op))]:
        raise Unsupported.listing(f"{graph.name} as .tflite", problems)
    lowered = _with_pad_ops(_with_border(graph, io))
    model = TFLiteModel()
    for name in (*lowered.inputs, *lowered.outputs):
        model.tensor(lowered.tensors[name])
    for op in lowered.ops:
        _write_op(model, lowered, op)
    own = {"graph_digest": graph.digest, "permutations": dict(sorted(graph.permutations.items()))}
    metadata = {METADATA_NAME: json.dumps(own, separators=(",", ":")).encode()}
    return model.serialised(graph.name, graph.inputs, graph.outputs, metadata)


def _why_not(graph: Graph, op: Op) -> str | None:
    strange = [t for t in (*graph.of(op), graph.tensors[op.name]) if t.dtype not in TENSOR_TYPE]
    if strange:
        return f"tensor '{strange[0].name}' is {strange[0].dtype}; known are {', '.join(TENSOR_TYPE)}"
    if op.kind == "batch_norm":
        return "TFLite has no batch normalization; fold it (the canonical passes do)"
    if op.kind not in BUILTIN:
        return f"no TFLite operator is known for it; known kinds are {', '.join(BUILTIN)}"
    if op.kind == "average_pool2d" and _scheme(graph, op) is None:
        return f"pads {op.attrs['pads']} are neither SAME nor VALID, and in a pad op they would be averaged"
    return None


# Borders ----------------------------------------------------------------------------------------------------

def _with_border(graph: Graph, io: str) -> Graph:
    """The graph with conversions between its int8 inputs and outputs and outer ones of dtype `io`."""
    codes = [graph.tensors[name] for name in dict.fromkeys((*graph.inputs, *graph.outputs))
             if graph.tensors[name].dtype == "int8"]
    if io == "int8" or not codes:
        return graph
    inner = {t.name: replace(t, name=_free_name(f"{t.name}.int8", graph)) for t in codes}
    outer = {t.name: _outer(t, io) for t in codes}
    before = [Op("quantize", (name,), (inner[name].name,)) for name in graph.inputs if name in inner]
    after = [Op("dequantize" if io == "float32" else "quantize", (inner[name].name,), (name,))
             for name in graph.outputs if name in inner and name not in graph.inputs]
    ops = [replace(op, inputs=_renamed(op.inputs, inner), outputs=_renamed(op.outputs, inner))
           for op in graph.ops]
    tensors = {**graph.tensors, **outer, **{t.name: t for t in inner.values()}}
    return replace(graph, tensors=tensors, ops=(*before, *ops, *after))


def _renamed(names: tuple[str, ...], renamed: dict[str, Tensor]) -> tuple[str, ...]:
    return tuple(renamed[name].name if name in renamed else name for name in names)


def _outer(tensor: Tensor, io: str) -> Tensor:
    if io == "float32":
        return replace(tensor, dtype=io, quant=None)
    params = QuantParams(tensor.quant.scale, tensor.quant.zero_point + 128, dtype=io)
    return replace(tensor, dtype=io, quant=params)


def _free_name(name: str, graph: Graph) -> str:
    while name in graph.tensors:
        name += "_"
    return name


# Pads -------------------------------------------------------------------------------------------------------

def _windows(graph: Graph, op: Op) -> list[tuple[int, int, int, int, int]]:
    """(input size, output size, kernel, stride, dilation) along height and width."""
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    kernel = op.attrs["kernel"] if "kernel" in op.attrs else graph.tensors[op.inputs[1]].shape[1:3]
    dilation = op.attrs.get("dilation", (1, 1))
    return list(zip(x[1:3], y[1:3], kernel, op.attrs["stride"], dilation, strict=True))


def _overhangs(graph: Graph, op: Op) -> list[int]:
    """How far the windows reach over the input along height and width; below 0 they stop short of its end."""
    return [(out - 1) * stride + (kernel - 1) * dilation + 1 - size
            for size, out, kernel, stride, dilation in _windows(graph, op)]


def _read_pads(graph: Graph, op: Op) -> list[tuple[int, int]]:
    """(before, after) along height and width, without what lies beyond the last window."""
    befores = op.attrs["pads"][0], op.attrs["pads"][2]
    return [(before, max(overhang - before, 0))
            for before, overhang in zip(befores, _overhangs(graph, op), strict=True)]


def _scheme(graph: Graph, op: Op) -> str | None:
    """TFLite's name for the op's pads: "VALID", "SAME", or None where it has none.

    A convolution is not SAME where its windows stop short along an axis: XNNPACK in tflite-runtime 2.14 takes
    the negative overhang for an unsigned pad, and computes something else.
    """
    pads, windows = _read_pads(graph, op), _windows(graph, op)
    if pads == [(0, 0), (0, 0)]:
        return "VALID"
    if op.kind in WEIGHTED and min(_overhangs(graph, op)) < 0:
        return None
    same = [same_pads(size, kernel, stride, dilation) for size, _, kernel, stride, dilation in windows]
    all_outputs = all(out == -(-size // stride) for size, out, _, stride, _ in windows)
    return "SAME" if pads == same and all_outputs else None


def _with_pad_ops(graph: Graph) -> Graph:
    """Pads that are neither SAME nor VALID become an op of kind "pad", or "pad_lowest" before a max pool."""
    ops, tensors = [], dict(graph.tensors)
    for op in graph.ops:
        if op.kind in WINDOWED and _scheme(graph, op) is None:
            x, pads = graph.tensors[op.inputs[0]], ((0, 0), *_read_pads(graph, op), (0, 0))
            shape = tuple(n + sum(pad) for n, pad in zip(x.shape, pads, strict=True))
            padded = replace(x, name=_free_name(f"{op.name}.padded", graph), shape=shape, data=None)
            tensors[padded.name] = padded
            zeros = op.kind != "max_pool2d" or _never_negative(graph, x)
            ops.append(Op("pad" if zeros else "pad_lowest", (x.name,), (padded.name,), {"pads": pads}))
            op = replace(op, inputs=(padded.name, *op.inputs[1:]), attrs={**op.attrs, "pads": (0, 0, 0, 0)})
        ops.append(op)
    return replace(graph, tensors=tensors, ops=tuple(ops))


def _never_negative(graph: Graph, x: Tensor) -> bool:
    """Whether zeros change no maximum over `x`: then PAD will do, which XNNPACK takes; PADV2 it does not."""
    if x.quant is not None:
        return int(x.quant.zero_point) == RANGE[x.dtype][0]
    maker = graph.producers.get(x.name)
    return maker is not None and not {"relu", "relu6"}.isdisjoint((maker.kind, maker.attrs.get("activation")))


# Operators --------------------------------------------------------------------------------------------------

def _write_op(model: TFLiteModel, graph: Graph, op: Op) -> None:
    inputs, output = list(graph.of(op)), graph.tensors[op.name]
    if op.kind == "pad_lowest":
        inputs += [_int32(graph, op, "pads"), _lowest(graph, op)]
        model.operator("PADV2", "PadV2Options", {}, inputs, output)
        return
    row = BUILTIN[op.kind]
    if row.constant:
        inputs.append(_int32(graph, op, row.constant))
    fields = {}
    for attr, names in row.fields.items():
        value = op.attrs[attr]
        if attr == "activation":
            value = getattr(schema.ActivationFunctionType, ACTIVATION[value])
        fields |= zip(names, value if len(names) > 1 else (value,), strict=True)
    if op.kind in WINDOWED:
        fields["padding"] = getattr(schema.Padding, _scheme(graph, op))
    model.operator(row.operator, row.options, fields, inputs, output)


def _int32(graph: Graph, op: Op, attr: str) -> Tensor:
    """An attribute that the file keeps in a constant."""
    data = np.array(op.attrs[attr], np.int32)
    return Tensor(_free_name(f"{op.name}.{attr}", graph), data.shape, "int32", data)


def _lowest(graph: Graph, op: Op) -> Tensor:
    """The lowest number or code: as padding, it never wins a max pool."""
    x = graph.tensors[op.inputs[0]]
    value = np.finfo(np.float32).min if x.dtype == "float32" else RANGE[x.dtype][0]
    return Tensor(_free_name(f"{op.name}.lowest", graph), (1,), x.dtype, np.array([value], x.dtype), x.quant)
