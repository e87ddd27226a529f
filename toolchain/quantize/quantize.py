"""Static post-training quantization: the canonical float graph rewritten in integers."""

from collections.abc import Mapping
from dataclasses import replace
import math

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.check import WEIGHTED, check
from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make
from toolchain.ir.quant import RANGE, QuantParams, weight_params
from toolchain.ir.quant import quantize as codes_of
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import FLOAT, PLAIN, SAME, data_inputs, require_rules, rule_of
from toolchain.quantize.scales import activation_scales
from toolchain.quantize.weights import quantize_weights
from toolchain.recipe import QuantSpec
from toolchain.scheme import scheme_of

Scales = Mapping[str, QuantParams]
MULTIPLIER_LIMIT = 2.0**30
"""What `fixed_point` can hold."""
RESCALED = frozenset({"relu", "leaky_relu", "prelu", "abs", "neg", "mean", "sum"})
"""Kinds whose kernels multiply codes of one scale to another."""
FINEST = {"int8": {"add": 2.0**-19, "sub": 2.0**-19, "hard_swish": 2.0**-7},
          "int16": {"add": 2.0**-14, "sub": 2.0**-14}}
"""Output scale by the coarsest input's; from there down, TFLite Micro aborts (add_common.cc) or refuses
(hard_swish_common.cc)."""
COARSEST_SIGMOID = 8.0
"""Input scale of logistic and tanh; from here on TFLite Micro takes even 0 as saturated (kernel_util.h
CalculateInputRadius gives 0)."""


def quantize(graph: Graph, stats: Mapping[str, TensorStats], spec: QuantSpec = QuantSpec(),
             pinned: Scales | None = None) -> Graph:
    """The QUANTIZED graph: int8 activations, inputs and outputs included, int8 weights, int32 biases. Scheme
    "static_wi8_ai16": int16 activations, int64 biases.

    graph: canonical; stats: what `calibrate` returned for it
    pinned: inputs whose parameters are known beforehand, from what their codes are
    Whole numbers and truth values stay as they are. An op that has to compute on reals (rule FLOAT) stands
    between dequantize and quantize ops; `source.notes` names it.
    A scheme that leaves the network in float returns the graph as it is. Raises Unsupported listing every op
    without an INT8 form, BadSamples where statistics are missing or a range was observed that cannot be told
    in codes.
    """
    if spec.float_weights:
        return graph
    require_rules(check(graph, "CANONICAL"))
    scales = activation_scales(graph, stats, pinned, scheme_of(spec.scheme).activations)
    return check(_Rewriting(graph, scales).run(), "QUANTIZED")


class _Rewriting:
    """The integer graph in the making.

    tensors: of the new graph; an activation in codes keeps its name
    reals:   tensors in codes -> the name of their float32 twin
    islands: ops that compute on reals
    """

    def __init__(self, graph: Graph, scales: Scales):
        self.graph, self.scales = graph, scales
        self.tensors = {t.name: self._held(t) for t in graph.activations}
        self.ops: list[Op] = []
        self.reals: dict[str, str] = {}
        self.islands: list[Op] = []

    def _held(self, tensor: Tensor) -> Tensor:
        quant = self.scales.get(tensor.name)
        return tensor if quant is None else replace(tensor, dtype=quant.dtype, quant=quant)

    def run(self) -> Graph:
        for op in self.graph.ops:
            self.rewrite(op)
        source = self.graph.source
        notes = tuple(f"{op.name} ({op.kind}) computes in float" for op in self.islands)
        graph = replace(self.graph, tensors=self.tensors, source=replace(source, notes=source.notes + notes))
        return graph.with_ops(live_ops(self.ops, graph.outputs))

    def rewrite(self, op: Op) -> None:
        output = rule_of(self.graph, op).output
        if output == PLAIN:
            self.ops.append(replace(op, inputs=tuple(map(self.as_it_is, op.inputs))))
        elif output == FLOAT or (op.kind == "div" and self.may_divide_by_zero(op)):
            self.on_reals(op)
        elif op.kind in WEIGHTED:
            self.weighted(op)
        elif output == SAME:
            self.moved(op)
        else:
            self.computed(op)

    def weighted(self, op: Op) -> None:
        """A convolution or matrix product with its own codes for weight and bias."""
        x, weight, bias = self.graph.of(op)
        weight, bias = quantize_weights(op, self.scales[x.name], weight, bias)
        _check_multiplier(self.graph, op, bias.quant.scale, self.scales[op.name].scale)
        self.ops.append(replace(op, inputs=(x.name, self.placed(weight), self.placed(bias))))

    def computed(self, op: Op) -> None:
        """An op that brings its inputs to its output's scale itself, or gives numbers."""
        if op.name in self.scales:
            scales = [float(self.scales[t.name].scale) for t in data_inputs(self.graph, op)]
            _check_multiplier(self.graph, op, _products(op, scales), self.scales[op.name].scale)
            _check_scales(self.graph, op, max(scales), self.scales[op.name])
        inputs = [self.operand(op, name) for name in op.inputs]
        if op.kind == "div":
            inputs[1] = self.beside_zero(inputs[1])
        self.ops.append(replace(op, inputs=tuple(inputs)))

    def may_divide_by_zero(self, op: Op) -> bool:
        """Whether a division's codes may hold a 0 that `beside_zero` cannot take away: they lie on both sides
        of it, or are known."""
        divisor, quant = self.graph.of(op)[1], self.scales[op.inputs[1]]
        if divisor.is_constant:
            return bool((codes_of(divisor.data, quant) == quant.zero_point).any())
        return int(quant.zero_point) not in RANGE[quant.dtype]

    def beside_zero(self, name: str) -> str:
        """A divisor, of which codes of 0 become the next: small ones round to it, and TFLite's kernel stops
        there (div.cc CheckNonZero)."""
        divisor = self.tensors[name]
        if divisor.is_constant:
            return name
        zero = int(divisor.quant.zero_point)
        kind, code = ("maximum", zero + 1) if zero == RANGE[divisor.dtype][0] else ("minimum", zero - 1)
        step = np.full((1,) * len(divisor.shape), code, divisor.dtype)
        limit = self.placed(constant(unique_name(f"{name}.step", self.tensors), step, divisor.quant))
        output = unique_name(f"{name}.nonzero", self.tensors)
        self.tensors[output] = replace(divisor, name=output)
        self.ops.append(make(kind, (name, limit), output))
        return output

    def moved(self, op: Op) -> None:
        """An op that hands codes on: inputs at other parameters than its output's are requantized for it."""
        out, inputs = self.scales[op.name], []
        data = {t.name for t in data_inputs(self.graph, op)}
        for name in op.inputs:
            operand = self.operand(op, name)
            if name in data and not self.scales[name].same_as(out):
                operand = self.converted("quantize", operand, f"{op.name}.{name}", out.dtype, out)
            inputs.append(operand)
        self.ops.append(replace(op, inputs=tuple(inputs)))

    def on_reals(self, op: Op) -> None:
        """An op in float32, its inputs dequantized and, where others need its codes, its output quantized."""
        self.islands.append(op)
        inputs = tuple(map(self.real, op.inputs))
        if op.name not in self.scales:
            self.ops.append(replace(op, inputs=inputs))
            return
        self.reals[op.name] = unique_name(f"{op.name}.float", self.tensors)
        self.tensors[self.reals[op.name]] = replace(self.graph.tensors[op.name], name=self.reals[op.name])
        self.ops += [replace(op, inputs=inputs, outputs=(self.reals[op.name],)),
                     make("quantize", (self.reals[op.name],), op.name)]

    def real(self, name: str) -> str:
        """The tensor with the plain numbers of `name`."""
        if self.graph.tensors[name].is_constant or name not in self.scales:
            return self.as_it_is(name)
        if name not in self.reals:
            self.reals[name] = self.converted("dequantize", name, f"{name}.float", "float32", None)
        return self.reals[name]

    def converted(self, kind: str, name: str, output: str, dtype: str, quant: QuantParams | None) -> str:
        output = unique_name(output, self.tensors)
        self.tensors[output] = replace(self.tensors[name], name=output, dtype=dtype, data=None, quant=quant)
        self.ops.append(make(kind, (name,), output))
        return output

    def operand(self, op: Op, name: str) -> str:
        """The name under which an op on codes reads an input: constants in place of data become codes."""
        source = self.graph.tensors[name]
        if not source.is_constant or all(t is not source for t in data_inputs(self.graph, op)):
            return self.as_it_is(name)
        quant = weight_params(source.data, None) if op.kind == "batch_matmul" else self.scales[name]
        return self.placed(constant(name, codes_of(source.data, quant), quant))

    def as_it_is(self, name: str) -> str:
        source = self.graph.tensors[name]
        return self.placed(source) if source.is_constant else name

    def placed(self, tensor: Tensor) -> str:
        """Put a constant among the tensors; one that two ops need in different codes gets a suffix then."""
        twin = self.tensors.get(tensor.name)
        if twin is not None and _same_codes(tensor, twin):
            return tensor.name
        name = unique_name(tensor.name, self.tensors)
        self.tensors[name] = replace(tensor, name=name)
        return name


def _same_codes(a: Tensor, b: Tensor) -> bool:
    same_quant = a.quant is b.quant or (a.quant is not None and a.quant.same_as(b.quant))
    return same_quant and a.dtype == b.dtype and np.array_equal(a.data, b.data)


def _products(op: Op, scales: list[float]) -> float:
    """The scale, by the input scales, that the op's kernel multiplies to the output's; 0 for tables."""
    if op.kind in ("mul", "batch_matmul"):
        return math.prod(scales)
    if op.kind == "div":
        return scales[0] / scales[1]
    return max(scales) if op.kind in RESCALED else 0.0


def _check_multiplier(graph: Graph, op: Op, products, out: np.ndarray) -> None:
    if float(np.max(products)) / float(out) >= MULTIPLIER_LIMIT:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale {float(out):.3g} "
                         f"is 2**30 times finer than its products'; give samples like its training data")


def _check_scales(graph: Graph, op: Op, coarsest: float, out: QuantParams) -> None:
    finest = FINEST[out.dtype].get(op.kind, 0)
    if float(out.scale) <= finest * coarsest:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale "
                         f"{float(out.scale):.3g} is {round(1 / finest):,} times finer than its inputs'; "
                         f"give samples like its training data")
    if op.kind in ("logistic", "tanh") and coarsest >= COARSEST_SIGMOID and out.dtype == "int8":
        raise BadSamples(f"{graph.name}: {op.name} ({op.kind}) reads values over {255 * coarsest:,.0f} wide, "
                         f"which INT8 cannot tell apart near 0; look at the preprocessing, or leave it in "
                         f'float ([quantize] scheme = "float32")')
