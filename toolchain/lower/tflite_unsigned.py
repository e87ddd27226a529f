"""TFLite's 8-bit quantization before version 2.0: codes are uint8, 128 higher, and weights have a zero point.

int8 kernels take a weight's zero point for 0, so a network whose weights have another is written whole in
uint8. Source: reference/{conv,depthwiseconv_uint8,fully_connected}.h in TFLite's kernels/internal.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.check import WEIGHTED, asymmetric
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import QuantParams
from toolchain.lower.tflite_border import with_outer


def with_unsigned_codes(graph: Graph) -> Graph:
    """A network that has weights with a zero point in uint8 throughout, its inputs and outputs as they were.

    Raises Unsupported listing weights that uint8 kernels cannot take.
    """
    if not any(asymmetric(graph, op) for op in graph.ops):
        return graph
    if problems := list(_problems(graph)):
        raise Unsupported.listing(f"{graph.name} as .tflite in uint8, as weights with zero points ask for",
                                  problems)
    ports = dict.fromkeys((*graph.inputs, *graph.outputs))
    kept = {name: graph.tensors[name] for name in ports if _is_signed(graph.tensors[name])}
    graph = with_outer(graph, kept)
    return without_copies(graph.with_tensors(*(_raised(t) for t in graph.tensors.values()
                                               if _is_signed(t) and t.name not in kept)))


def _is_signed(tensor: Tensor) -> bool:
    return tensor.dtype == "int8" and tensor.quant is not None


def _problems(graph: Graph) -> Iterable[str]:
    for op in graph.ops:
        quant = graph.tensors[op.inputs[1]].quant if op.kind in WEIGHTED else None
        if quant is not None and quant.axis is not None:
            yield f"{op.kind} '{op.name}': weights quantized per channel; uint8 ones are per tensor"


def _raised(tensor: Tensor) -> Tensor:
    """The same reals in uint8."""
    quant = QuantParams(tensor.quant.scale, tensor.quant.zero_point + 128, tensor.quant.axis, "uint8")
    data = None if tensor.data is None else (tensor.data.astype(np.int16) + 128).astype(np.uint8)
    return replace(tensor, dtype="uint8", data=data, quant=quant)


def with_signed_codes(graph: Graph) -> Graph:
    """A network of uint8 inputs and outputs with int8 ones, for doors out that give these any dtype."""
    lowered = [_lowered(t) for t in graph.activations if t.dtype == "uint8" and t.quant is not None]
    return without_copies(graph.with_tensors(*lowered)) if lowered else graph


def _lowered(tensor: Tensor) -> Tensor:
    return replace(tensor, dtype="int8", quant=QuantParams(tensor.quant.scale, tensor.quant.zero_point - 128))


def without_copies(graph: Graph) -> Graph:
    """Without quantize ops that hand their codes on: what is left keeps the name of an input or output."""
    while (copy := next((op for op in graph.ops if _is_spare(graph, op)), None)) is not None:
        graph = _merged(graph, copy)
    return graph


def _is_spare(graph: Graph, op: Op) -> bool:
    """Whether it is such an op, and not both its ends are the network's own."""
    (x, *_), y = graph.of(op), graph.tensors[op.name]
    ports = {*graph.inputs, *graph.outputs}
    return op.kind == "quantize" and x.quant is not None and x.quant.same_as(y.quant) \
        and not {x.name, y.name} <= ports and not x.is_constant


def _merged(graph: Graph, copy: Op) -> Graph:
    """The graph without the copy, one tensor left of its two."""
    ends = copy.inputs[0], copy.name
    kept, gone = reversed(ends) if copy.name in graph.outputs else ends

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(kept if name == gone else name for name in names)

    ops = [replace(op, inputs=named(op.inputs), outputs=named(op.outputs)) for op in graph.ops
           if op.name != copy.name]
    return graph.with_ops(ops)
