"""Weights of a float .tflite file in fewer bits: float16, int8 or int4 that the runtime multiplies as it is
(dynamic range quantization), or codes that it dequantizes first. Activations stay float32.

Sources: TFLite's post-training float16 and dynamic range quantization; hybrid kernels in tflite/kernels.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import quantize, weight_params
from toolchain.lower.rewriting import Rewriting

FORMATS = ("float32", "float16", "int8", "int4")
FEWEST = 1024
"""Constants of fewer values stay float32: they save nothing (TFLite's weights_min_num_elements)."""
HYBRID: Mapping[str, int] = {kind: axis for kind, axis in WEIGHTED.items() if kind != "transpose_conv2d"}
"""Kinds with a hybrid kernel -> the axis of their weights that has scales of its own."""
HYBRID_INT4 = frozenset({"conv2d", "fully_connected"})
"""Those of them whose kernel takes int4 (LiteRT 2.3: depthwise_conv.cc does not)."""
_LARGEST_HALF = np.finfo(np.float16).max


def with_float16(graph: Graph) -> Graph:
    """Constants as float16 behind a DEQUANTIZE, which runtimes compute once.

    A constant with values beyond float16's stays float32.
    """
    rewriting, halves = Rewriting(graph), {}
    for op in graph.ops:
        for tensor in graph.of(op):
            if tensor.name not in halves and _fits_half(tensor):
                halves[tensor.name] = _half(rewriting, tensor)
        rewriting.ops.append(replace(op, inputs=tuple(halves.get(name, name) for name in op.inputs)))
    return rewriting.graph()


def _fits_half(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.dtype == "float32" and tensor.size >= FEWEST \
        and bool(np.abs(tensor.data).max() <= _LARGEST_HALF)


def _half(rewriting: Rewriting, tensor: Tensor) -> str:
    """Name of the DEQUANTIZE's output."""
    name = rewriting.constant(f"{tensor.name}.float16", tensor.data.astype(np.float16))
    return rewriting.inner("dequantize", [name], f"{tensor.name}.float32")


def with_codes(graph: Graph, dtype: str) -> Graph:
    """int8 or int4 weights, one scale per output channel, under float activations; int8 where LiteRT has no
    hybrid kernel on int4."""
    rewriting, codes = Rewriting(graph), {}
    for op in graph.ops:
        if _is_hybrid(graph, op):
            weight, axis = graph.tensors[op.inputs[1]], HYBRID[op.kind]
            if (weight.name, axis) not in codes:
                taken = dtype if op.kind in HYBRID_INT4 else "int8"
                params = weight_params(weight.data, axis, taken)
                data = quantize(weight.data, params, narrow=True)
                codes[weight.name, axis] = rewriting.constant(f"{weight.name}.{taken}", data, params)
            op = replace(op, inputs=(op.inputs[0], codes[weight.name, axis], *op.inputs[2:]))
        rewriting.ops.append(op)
    return rewriting.graph()


def with_dequantized(graph: Graph) -> Graph:
    """Weights that lie on a grid of 8 or 4 bits as codes behind a DEQUANTIZE, which runtimes compute once."""
    rewriting, reals = Rewriting(graph), {}
    for op in graph.ops:
        for tensor in graph.of(op):
            if tensor.name not in reals and _on_stored_grid(tensor):
                reals[tensor.name] = _dequantized(rewriting, tensor)
        rewriting.ops.append(replace(op, inputs=tuple(reals.get(name, name) for name in op.inputs)))
    return without_grids(rewriting.graph())


def _on_stored_grid(tensor: Tensor) -> bool:
    return tensor.is_constant and tensor.dtype == "float32" and tensor.quant is not None \
        and tensor.quant.dtype in ("int8", "int4")


def _dequantized(rewriting: Rewriting, tensor: Tensor) -> str:
    """Name of the DEQUANTIZE's output."""
    codes = quantize(tensor.data, tensor.quant)
    name = rewriting.constant(f"{tensor.name}.{tensor.quant.dtype}", codes, tensor.quant)
    return rewriting.inner("dequantize", [name], f"{tensor.name}.float32")


def without_grids(graph: Graph) -> Graph:
    """Float constants as no more than their reals."""
    return graph.with_tensors(*(replace(t, quant=None) for t in graph.constants
                                if t.dtype == "float32" and t.quant is not None))


def _is_hybrid(graph: Graph, op: Op) -> bool:
    """Of a kind that has a hybrid kernel, which a grouped convolution has not, with a weight worth it."""
    if op.kind not in HYBRID:
        return False
    x, weight = graph.of(op)[:2]
    grouped = op.kind == "conv2d" and x.shape[-1] != weight.shape[-1]
    return not grouped and weight.is_constant and weight.dtype == "float32" and weight.size >= FEWEST
