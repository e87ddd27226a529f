"""Weights of a float .tflite file in fewer bits: float16, or int8 that the runtime multiplies as it is
(dynamic range quantization). Activations stay float32.

Sources: TFLite's post-training float16 and dynamic range quantization; hybrid kernels in tflite/kernels.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import quantize, weight_params
from toolchain.lower.tflite_rewrite import Rewriting

FORMATS = ("float32", "float16", "int8")
FEWEST = 1024
"""Constants of fewer values stay float32: they save nothing (TFLite's weights_min_num_elements)."""
HYBRID: Mapping[str, int] = {kind: axis for kind, axis in WEIGHTED.items() if kind != "transpose_conv2d"}
"""Kinds with a hybrid kernel -> the axis of their weights that has scales of its own."""
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


def with_int8(graph: Graph) -> Graph:
    """int8 weights, one scale per output channel, under float activations."""
    rewriting, codes = Rewriting(graph), {}
    for op in graph.ops:
        if _is_hybrid(graph, op):
            weight, axis = graph.tensors[op.inputs[1]], HYBRID[op.kind]
            if (weight.name, axis) not in codes:
                params = weight_params(weight.data, axis)
                data = quantize(weight.data, params, narrow=True)
                codes[weight.name, axis] = rewriting.constant(f"{weight.name}.int8", data, params)
            op = replace(op, inputs=(op.inputs[0], codes[weight.name, axis], *op.inputs[2:]))
        rewriting.ops.append(op)
    return rewriting.graph()


def _is_hybrid(graph: Graph, op: Op) -> bool:
    """Of a kind that has a hybrid kernel, which a grouped convolution has not, with a weight worth it."""
    if op.kind not in HYBRID:
        return False
    x, weight = graph.of(op)[:2]
    grouped = op.kind == "conv2d" and x.shape[-1] != weight.shape[-1]
    return not grouped and weight.is_constant and weight.dtype == "float32" and weight.size >= FEWEST
