"""16-bit islands of an .onnx file: on reals, with the int8 weights.

ONNX has 16-bit codes from opset 21 on, and onnxruntime computes on reals between them all the same.
"""

from dataclasses import replace

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import dequantize


def with_reals(graph: Graph) -> Graph:
    """The graph with float32 in the place of int16 codes; a network that takes int16 stays as it is."""
    if any(graph.tensors[name].dtype == "int16" for name in graph.inputs):
        return graph
    tensors = {tensor.name: _real(tensor) for tensor in graph.tensors.values()}
    ops, same = [], {}
    for op in graph.ops:
        op = replace(op, inputs=tuple(same.get(name, name) for name in op.inputs))
        if _means_nothing(graph, op):
            same[op.name] = op.inputs[0]
        else:
            ops.append(_on_reals(graph, op, tensors))
    return replace(graph, tensors=tensors).with_ops(ops)


def _real(tensor: Tensor) -> Tensor:
    if tensor.dtype != "int16":
        return tensor
    data = None if tensor.data is None else dequantize(tensor.data, tensor.quant)
    return replace(tensor, dtype="float32", quant=None, data=data)


def _means_nothing(graph: Graph, op: Op) -> bool:
    """A conversion between what are both reals then."""
    ends = {graph.tensors[op.inputs[0]].dtype, graph.tensors[op.name].dtype}
    return op.kind in ("quantize", "dequantize") and ends <= {"int16", "float32"} \
        and op.name not in graph.outputs


def _on_reals(graph: Graph, op: Op, tensors: dict[str, Tensor]) -> Op:
    """The op as it reads and gives what were 16-bit codes; its bias, which has 64 bits, becomes reals."""
    bias = graph.tensors[op.inputs[2]] if op.kind in WEIGHTED else None
    if bias is not None and bias.dtype == "int64":
        reals = dequantize(bias.data, bias.quant)
        tensors[bias.name] = replace(bias, dtype="float32", quant=None, data=reals)
    if op.kind == "quantize" and graph.tensors[op.name].dtype == "int16":
        return replace(op, kind="dequantize")
    return op
