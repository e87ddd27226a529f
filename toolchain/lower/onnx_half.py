"""A float file in half precision: weights and arithmetic in float16, inputs and outputs in float32."""

from collections.abc import Mapping

import numpy as np

from toolchain.errors import BadInput, Unsupported
from toolchain.ir.graph import Graph
from toolchain.lower.onnx_writer import OnnxWriter

HALF = ":half"
"""Ends the name of a float32 input's or output's float16 value."""


def require_float(graph: Graph) -> None:
    """Raises BadInput for a graph that is quantized."""
    if any(t.quant is not None for t in graph.tensors.values()):
        raise BadInput(f"{graph.name}: is quantized, and float16 weights are a float network's; leave it in "
                       f'float (recipe: [quantize] scheme = "float16")')


def in_float16(writer: OnnxWriter) -> None:
    """Change what the writer holds, in place. Raises Unsupported listing the weights beyond float16."""
    from onnx import TensorProto, numpy_helper

    beyond = []
    for tensor in writer.initializers:
        if tensor.data_type == TensorProto.FLOAT:
            with np.errstate(over="ignore"):
                half = numpy_helper.to_array(tensor).astype(np.float16)
            if not np.isfinite(half).all():
                beyond.append(f"{tensor.name}: holds numbers beyond float16's 65,504; keep it in float32")
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    if beyond:
        raise Unsupported.listing(f"{writer.graph.name} in float16", beyond)
    for node in writer.nodes:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    _cast_borders(writer)


def _cast_borders(writer: OnnxWriter) -> None:
    inputs, outputs = ([name for name in names if writer.graph.tensors[name].dtype == "float32"]
                       for names in (writer.graph.inputs, writer.graph.outputs))
    names = {name: f"{name}{HALF}" for name in (*inputs, *outputs)}
    for node in writer.nodes:
        _rename(node.input, names)
        _rename(node.output, names)
        node.name = node.output[0]
    behind = len(writer.nodes)
    for name in inputs:
        writer.cast(name, names[name], "float16")
    writer.nodes[:] = writer.nodes[behind:] + writer.nodes[:behind]
    for name in outputs:
        writer.cast(names[name], name, "float32")


def _rename(values, names: Mapping[str, str]) -> None:
    values[:] = [names.get(value, value) for value in values]
