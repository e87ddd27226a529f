"""Static post-training INT8: the canonical float graph rewritten in integers."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.check import WEIGHTED, check
from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams
from toolchain.ir.quant import quantize as codes_of
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import RULES, SAME, require_rules
from toolchain.quantize.scales import activation_scales
from toolchain.quantize.weights import quantize_weights
from toolchain.recipe import QuantSpec

Scales = Mapping[str, QuantParams]
MULTIPLIER_LIMIT = 2.0**30
"""What `fixed_point` can hold."""


def quantize(graph: Graph, stats: Mapping[str, TensorStats], spec: QuantSpec = QuantSpec()) -> Graph:
    """The QUANTIZED graph: int8 activations, inputs and outputs included, int8 weights, int32 biases.

    graph: canonical; stats: what `calibrate` returned for it
    Scheme "float32" returns the graph as it is. Raises Unsupported listing every op without an INT8 form,
    BadSamples where statistics are missing or a range was observed that cannot be told in codes.
    """
    if spec.scheme == "float32":
        return graph
    require_rules(check(graph, "CANONICAL"))
    scales = activation_scales(graph, stats)
    tensors = {t.name: replace(t, dtype="int8", quant=scales[t.name]) for t in graph.activations}
    ops: list[Op] = []
    for op in graph.ops:
        rewrite = _weighted if op.kind in WEIGHTED else _moved if RULES[op.kind].output == SAME else _computed
        ops += rewrite(graph, op, scales, tensors)
    return check(replace(graph, tensors=tensors).with_ops(ops), "QUANTIZED")


def _weighted(graph: Graph, op: Op, scales: Scales, tensors: dict[str, Tensor]) -> list[Op]:
    """A convolution or matrix product with its own codes for weight and bias."""
    x, weight, bias = graph.of(op)
    weight, bias = quantize_weights(op, scales[x.name], weight, bias)
    _check_multiplier(graph, op, bias.quant.scale, scales[op.name].scale)
    return [replace(op, inputs=(x.name, _placed(tensors, weight), _placed(tensors, bias)))]


def _check_multiplier(graph: Graph, op: Op, products: np.ndarray, out: np.ndarray) -> None:
    if float(products.max()) / float(out) >= MULTIPLIER_LIMIT:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale {float(out):.3g} "
                         f"is 2**30 times finer than its products'; give samples like its training data")


def _computed(graph: Graph, op: Op, scales: Scales, tensors: dict[str, Tensor]) -> list[Op]:
    """An op that brings its inputs to its output's scale itself."""
    return [replace(op, inputs=tuple(_operand(graph, name, scales, tensors) for name in op.inputs))]


def _moved(graph: Graph, op: Op, scales: Scales, tensors: dict[str, Tensor]) -> list[Op]:
    """An op that hands codes on: inputs with other parameters than its output's are requantized before it."""
    before, inputs = [], []
    for name in op.inputs:
        operand = _operand(graph, name, scales, tensors)
        if not scales[name].same_as(scales[op.name]):
            operand = _unused(tensors, f"{op.name}.{name}")
            tensors[operand] = replace(tensors[name], name=operand, quant=scales[op.name])
            before.append(make("quantize", (name,), operand))
        inputs.append(operand)
    return [*before, replace(op, inputs=tuple(inputs))]


def _operand(graph: Graph, name: str, scales: Scales, tensors: dict[str, Tensor]) -> str:
    """The name under which an input is read: constants are put in as codes."""
    source = graph.tensors[name]
    if not source.is_constant:
        return name
    return _placed(tensors, constant(name, codes_of(source.data, scales[name]), scales[name]))


def _placed(tensors: dict[str, Tensor], tensor: Tensor) -> str:
    """Put a constant among `tensors`; one that two ops need in different codes gets a suffix then."""
    twin = tensors.get(tensor.name)
    if twin is not None and tensor.quant.same_as(twin.quant) and np.array_equal(tensor.data, twin.data):
        return tensor.name
    name = _unused(tensors, tensor.name)
    tensors[name] = replace(tensor, name=name)
    return name


def _unused(tensors: Mapping[str, Tensor], name: str) -> str:
    candidate, count = name, 0
    while candidate in tensors:
        count += 1
        candidate = f"{name}.{count}"
    return candidate
