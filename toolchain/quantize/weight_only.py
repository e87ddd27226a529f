"""Weights rounded to a grid of n bits, under activations that stay in float.

Affine, asymmetric, per output channel: scale = (max - min) / (2**n - 1), and 0 is exact. A rounded weight is
a float32 constant that carries its grid: whatever runs the graph computes with the rounded reals, and a door
out stores codes of 8 and 4 bits; of other widths it stores the reals.
"""

from dataclasses import replace

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor, unique_name
from toolchain.ir.quant import affine_params, dequantize, quantize

STORED = ("int8", "int4")
"""Codes that files have a type for."""


def with_weights_on_grid(graph: Graph, dtype: str) -> Graph:
    """The canonical float graph with the constant weights of WEIGHTED kinds rounded; a note says to what.

    dtype: of the codes, "int2" to "int8"
    """
    tensors, ops, made = dict(graph.tensors), [], {}
    for op in graph.ops:
        if _rounds(graph, op):
            key = op.inputs[1], WEIGHTED[op.kind]
            if key not in made:
                made[key] = _on_grid(graph.tensors[key[0]], key[1], dtype, tensors)
            op = replace(op, inputs=(op.inputs[0], made[key].name, *op.inputs[2:]))
        ops.append(op)
    count = sum(tensor.size for tensor in made.values())
    notes = *graph.source.notes, _note(len(made), count, dtype)
    return replace(graph, tensors=tensors, source=replace(graph.source, notes=notes)).with_ops(ops)


def _rounds(graph: Graph, op: Op) -> bool:
    weight = graph.tensors[op.inputs[1]] if op.kind in WEIGHTED else None
    return weight is not None and weight.is_constant and weight.dtype == "float32" and weight.quant is None


def _on_grid(weight: Tensor, axis: int, dtype: str, tensors: dict[str, Tensor]) -> Tensor:
    """The rounded weight, put among the tensors; a second one, of another axis, gets a suffix."""
    params = affine_params(weight.data, axis, dtype)
    name = weight.name if tensors[weight.name].quant is None else unique_name(weight.name, tensors)
    data = dequantize(quantize(weight.data, params), params)
    tensors[name] = replace(weight, name=name, data=data, quant=params)
    return tensors[name]


def _note(tensors: int, weights: int, dtype: str) -> str:
    bits = int(dtype.removeprefix("int"))
    stored = "" if dtype in STORED else "; study: stored as float32"
    return (f"{weights:,} weights of {tensors} tensors rounded to {bits} bits, each output channel with its "
            f"scale and zero point{stored}")
