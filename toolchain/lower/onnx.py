"""Door out to ONNX: a float graph as it is, a quantized one as QDQ INT8.

QDQ (onnxruntime documentation, "Quantize ONNX models", ONNX quantization representation format): the file
computes on floats between QuantizeLinear and DequantizeLinear pairs, and a runtime makes one integer kernel
of each such unit. Inputs and outputs are float, in the layout of the model's source.

Opset 17 and IR version 8 are those of ONNX 1.12 (2022); docs/decisions/0007 says why.
"""

from dataclasses import replace
import json

import numpy as np

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.channels_first import channels_first
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.ops import PLAIN, make
from toolchain.lower.metadata import onnx_metadata
from toolchain.lower.onnx_half import in_float16, require_float
from toolchain.lower.onnx_ops import EMIT
from toolchain.lower.onnx_recurrent import RECURRENT, without_loops
from toolchain.lower.onnx_wide import with_reals
from toolchain.lower.onnx_writer import CODE_OFFSET, IR_VERSION, OnnxWriter
from toolchain.lower.tflite_unsigned import with_signed_codes
from toolchain.runtime.onnxruntime import PERMUTATIONS

WEIGHTS = ("float32", "float16")


def write_onnx(graph: Graph, *, activations: str = "uint8", keep: tuple[str, ...] = (),
               input_io: str = "float32", weights: str = "float32") -> bytes:
    """The .onnx file of a graph. The same graph gives the same bytes.

    activations: dtype of a quantized graph's activation codes: "uint8" for x86 hosts (U8S8: the int8 codes +
                 128, same scales), "int8" for Arm (S8S8); weights are int8 in both
    keep:        activations to hand out as extra outputs, by the Graph's names. They come as they lie in the
                 file, because turning them costs time and statistics do not need it; the file's metadata
                 entry "edge.permutations" (JSON: name -> axes) says how the Graph's value is the file's value
                 transposed, where they differ. Of a quantized graph they come dequantized
    input_io:    dtype of a quantized graph's inputs: "float32", or "uint8" or "int8" codes
    weights:     of a float graph: "float32", or "float16", in which the file then computes too
    An LSTM, GRU or Elman layer is one node, in float also where the graph has codes, unless `keep` names
    something inside or of its input's product; other loops are written out step by step (`ir.unrolling`).
    16-bit islands are on reals. Raises Unsupported listing everything that has no ONNX form here.
    """
    keep = tuple(keep)
    graph = with_reals(with_signed_codes(without_loops(graph, keep)))
    _check(graph, activations, keep)
    if weights not in WEIGHTS:
        raise BadInput(f"weights={weights!r}: must be one of {', '.join(map(repr, WEIGHTS))}")
    laid = _pads_apart(channels_first(graph, keep, RECURRENT))
    writer = OnnxWriter(laid, activations, input_io)
    for op in laid.ops:
        EMIT[op.kind](writer, op)
    for name in laid.outputs:
        writer.real(name)
    if weights == "float16":
        require_float(graph)
        in_float16(writer)
    return _serialised(writer, graph.digest, input_io)


def _check(graph: Graph, activations: str, keep: tuple[str, ...]) -> None:
    if activations not in CODE_OFFSET:
        raise BadInput(f"activations={activations!r}: must be one of {', '.join(map(repr, CODE_OFFSET))}")
    known = {t.name for t in graph.activations}
    if unknown := [name for name in keep if name not in known]:
        raise BadInput(f"{graph.name}: no activation named {', '.join(unknown)} to keep")
    problems = [f"{op.name}: {op.kind} has no ONNX form here" for op in graph.ops if op.kind not in EMIT]
    problems += [f"{t.name}: {t.dtype} activations have no ONNX form here; quantize to int8"
                 for t in graph.activations if t.dtype not in PLAIN | {"int8"}]
    problems += [f"{op.name}: {t.name} of {op.kind} is computed; only constants have an ONNX form here"
                 for op in graph.ops if op.kind in WEIGHTED for t in graph.of(op)[1:] if not t.is_constant]
    problems += [f"output {name}: is an input; ONNX wants an op between" for name in graph.outputs
                 if name in graph.inputs]
    if problems:
        raise Unsupported.listing(f"{graph.name} as .onnx", problems)


def _pads_apart(graph: Graph) -> Graph:
    """A reshape to the same shape between a pad and a max_pool2d. Without it onnxruntime (1.20 to 1.31) fuses
    them, and pads with -inf instead of zeros."""
    ops: list[Op] = []
    for op in graph.ops:
        x = op.inputs[0]
        if op.kind == "max_pool2d" and x in graph.producers and graph.producers[x].kind == "pad":
            apart = replace(graph.tensors[x], name=f"{op.name}:padded")
            graph = graph.with_tensors(apart)
            ops.append(make("reshape", [x], apart.name, shape=apart.shape))
            op = replace(op, inputs=(apart.name,))
        ops.append(op)
    return replace(graph, ops=tuple(ops))


def _serialised(writer: OnnxWriter, digest: str, input_io: str) -> bytes:
    from onnx import helper

    graph = writer.graph
    inputs, outputs = ([_border(graph.tensors[name], io) for name in names]
                       for names, io in ((graph.inputs, input_io), (graph.outputs, "float32")))
    model = helper.make_model(helper.make_graph([], graph.name, inputs, outputs),
                              ir_version=IR_VERSION[writer.opset], producer_name="edge-toolchain",
                              opset_imports=[helper.make_opsetid("", writer.opset)])
    model.graph.node.extend(writer.nodes)
    model.graph.initializer.extend(writer.initializers)  # make_graph would copy all weights twice more
    permutations = json.dumps(graph.permutations, sort_keys=True)
    helper.set_model_props(model, {"edge.graph_digest": digest, PERMUTATIONS: permutations,
                                   **onnx_metadata(graph)})
    return model.SerializeToString(deterministic=True)


def _border(tensor: Tensor, io: str):
    """How an input or output is declared; io: its dtype where it is quantized."""
    from onnx import helper

    dtype = io if tensor.quant is not None else tensor.dtype
    return helper.make_tensor_value_info(tensor.name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)),
                                         tensor.shape)
