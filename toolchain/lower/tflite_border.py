"""Inputs and outputs of a quantized .tflite file in another dtype than the graph's."""

from collections.abc import Mapping
from dataclasses import replace

from toolchain.ir.graph import Graph, Op, Tensor, unique_name
from toolchain.ir.quant import QuantParams


def with_border(graph: Graph, io: str, names: tuple[str, ...]) -> Graph:
    """The graph with conversions between its integer inputs and outputs and outer ones of dtype `io`.

    io:    "uint8", with a zero point 128 higher than int8's, or "float32"; the outer tensors keep their names
    names: the inputs and outputs that are meant
    """
    codes = [graph.tensors[name] for name in dict.fromkeys(names) if _converts(graph.tensors[name], io)]
    return with_outer(graph, {t.name: _outer(t, io) for t in codes})


def with_outer(graph: Graph, outer: Mapping[str, Tensor]) -> Graph:
    """The graph with conversions between inputs and outputs and the outer tensors of their names."""
    codes = [graph.tensors[name] for name in outer]
    inner = {t.name: replace(t, name=unique_name(f"{t.name}.{t.dtype}", graph.tensors)) for t in codes}
    before = [Op("quantize", (name,), (inner[name].name,)) for name in graph.inputs if name in inner]
    after = [Op("quantize" if outer[name].quant else "dequantize", (inner[name].name,), (name,))
             for name in graph.outputs if name in inner and name not in graph.inputs]
    ops = [replace(op, inputs=_renamed(op.inputs, inner), outputs=_renamed(op.outputs, inner))
           for op in graph.ops]
    tensors = {**graph.tensors, **outer, **{t.name: t for t in inner.values()}}
    return replace(graph, tensors=tensors, ops=(*before, *ops, *after))


def _converts(tensor: Tensor, io: str) -> bool:
    """Codes go to float32; int8 to uint8 too."""
    return tensor.quant is not None and (io == "float32" or (io, tensor.dtype) == ("uint8", "int8"))


def _renamed(names: tuple[str, ...], renamed: dict[str, Tensor]) -> tuple[str, ...]:
    return tuple(renamed[name].name if name in renamed else name for name in names)


def _outer(tensor: Tensor, io: str) -> Tensor:
    if io == "float32":
        return replace(tensor, dtype=io, quant=None)
    params = QuantParams(tensor.quant.scale, tensor.quant.zero_point + 128, dtype=io)
    return replace(tensor, dtype=io, quant=params)
