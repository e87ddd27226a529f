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
FINEST_SUM = 2.0**-19
"""Output scale of add and sub by the coarsest input's; below, TFLite Micro aborts (add_common.cc)."""
COARSEST_SIGMOID = 8.0
"""Input scale of logistic and tanh; from here on TFLite Micro takes even 0 as saturated (kernel_util.h
CalculateInputRadius gives 0)."""


def quantize(graph: Graph, stats: Mapping[str, TensorStats], spec: QuantSpec = QuantSpec(),
             pinned: Scales | None = None) -> Graph:
    """The QUANTIZED graph: int8 activations, inputs and outputs included, int8 weights, int32 biases.

    graph: canonical; stats: what `calibrate` returned for it
    pinned: inputs whose parameters are known beforehand, from what their codes are
    Scheme "float32" returns the graph as it is. Raises Unsupported listing every op without an INT8 form,
    BadSamples where statistics are missing or a range was observed that cannot be told in codes.
    """
    if spec.scheme == "float32":
        return graph
    require_rules(check(graph, "CANONICAL"))
    scales = activation_scales(graph, stats, pinned)
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
    coarsest = max(float(scales[name].scale) for name in op.inputs)
    _check_scales(graph, op, coarsest, float(scales[op.name].scale))
    return [replace(op, inputs=tuple(_operand(graph, name, scales, tensors) for name in op.inputs))]


def _check_scales(graph: Graph, op: Op, coarsest: float, out: float) -> None:
    if op.kind in ("add", "sub") and out <= FINEST_SUM * coarsest:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale {out:.3g} is 2**19 "
                         f"times finer than its inputs'; give samples like its training data")
    if op.kind in ("logistic", "tanh") and coarsest >= COARSEST_SIGMOID:
        raise BadSamples(f"{graph.name}: {op.name} ({op.kind}) reads values over {255 * coarsest:,.0f} wide, "
                         f"which INT8 cannot tell apart near 0; look at the preprocessing, or leave it in "
                         f'float ([quantize] scheme = "float32")')


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
