"""Static post-training quantization: the canonical float graph rewritten in integers."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.check import CONVERSIONS, WEIGHTED, check
from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops, unique_name
from toolchain.ir.loops import made_first
from toolchain.ir.ops import make
from toolchain.ir.quant import RANGE, QuantParams, weight_params
from toolchain.ir.quant import quantize as codes_of
from toolchain.quantize.islands import Numbers, notes_of, numbers_of
from toolchain.quantize.limits import check_multiplier, check_scales, products
from toolchain.quantize.observers import TensorStats
from toolchain.quantize.rules import PLAIN, SAME, averages_all, data_inputs, require_rules, rule_of
from toolchain.quantize.scales import activation_scales
from toolchain.quantize.weight_only import with_weights_on_grid
from toolchain.quantize.weights import quantize_weights
from toolchain.recipe import QuantSpec
from toolchain.scheme import scheme_of

Scales = Mapping[str, QuantParams]


def quantize(graph: Graph, stats: Mapping[str, TensorStats], spec: QuantSpec = QuantSpec(),
             pinned: Scales | None = None) -> Graph:
    """The QUANTIZED graph: int8 activations, inputs and outputs included, int8 weights, int32 biases. Scheme
    "static_wi8_ai16": int16 activations, int64 biases.

    graph: canonical; stats: what `calibrate` returned for it
    pinned: tensors whose parameters are known beforehand: inputs, from what their codes are; activations (per
            tensor) and weights (per channel) whose ranges were learned
    Whole numbers and truth values stay as they are. An op that has to compute on reals (rule FLOAT) stands
    between dequantize and quantize ops, and so do those of islands (islands.py); `source.notes` names them.
    A scheme that leaves the network in float returns the graph as it is, with weights on a grid where it says
    so. Raises Unsupported listing every op without an INT8 form, BadConfig for an island that is none of its
    ops, BadSamples where statistics are missing or a range was observed that cannot be told in codes.
    """
    scheme = scheme_of(spec.scheme)
    if scheme.method == "weight_only":
        return with_weights_on_grid(graph, scheme.weights)
    if spec.float_weights:
        return graph
    require_rules(check(graph, "CANONICAL"))
    numbers = numbers_of(graph, scheme.activations, spec.islands)
    widths = {numbers.base, *({"int16"} & {*numbers.computes.values(), *numbers.held.values()})}
    scales = {dtype: activation_scales(graph, stats, pinned, dtype, numbers) for dtype in widths}
    known = {name: params for name, params in (pinned or {}).items() if params.axis is not None}
    return check(_Rewriting(graph, numbers, scales, scheme.weights, known).run(), "QUANTIZED")


class _Rewriting:
    """The integer graph in the making.

    weights: dtype of weights' codes, where kernels take it
    known:   parameters of weights that are known beforehand
    scales:  dtype of codes -> parameters of each activation that is held in codes, if it were in these
    tensors: of the new graph; an activation in codes keeps its name
    copies:  (tensor in codes, other numbers) -> the name of its twin in them
    on_real: ops that compute on reals
    """

    def __init__(self, graph: Graph, numbers: Numbers, scales: Mapping[str, Scales], weights: str,
                 known: Scales):
        self.graph, self.numbers, self.scales = graph, numbers, scales
        self.weights, self.known = weights, known
        self.tensors = {t.name: self._held(t) for t in graph.activations}
        self.ops: list[Op] = []
        self.copies: dict[tuple[str, str], str] = {}
        self.on_real: list[Op] = []

    def _held(self, tensor: Tensor) -> Tensor:
        if not self.in_codes(tensor.name):
            return tensor
        quant = self.scales[self.numbers.held[tensor.name]][tensor.name]
        return replace(tensor, dtype=quant.dtype, quant=quant)

    def in_codes(self, name: str) -> bool:
        return name in self.scales[self.numbers.base]

    def quant(self, name: str, number: str) -> QuantParams:
        """Parameters of a tensor's codes as an op on `number` reads them, whatever it is held in: int8 codes
        widen to int16 ones by a shift of 7 bits, exactly."""
        if self.numbers.held.get(name, number) == "int8" != number:
            return QuantParams(self.scales["int8"][name].scale / 128, 0, dtype=number)
        return self.scales[number][name]

    def run(self) -> Graph:
        for op in self.graph.ops:
            self.rewrite(op)
        source, ops = self.graph.source, made_first(live_ops(self.ops, self.graph.outputs))
        notes = notes_of(self.graph, self.numbers, self.on_real, sum(op.kind in CONVERSIONS for op in ops))
        graph = replace(self.graph, tensors=self.tensors, source=replace(source, notes=source.notes + notes))
        return graph.with_ops(ops)

    def rewrite(self, op: Op) -> None:
        output, number = rule_of(self.graph, op).output, self.numbers.computes.get(op.name)
        if averages_all(self.graph, op):
            op = make("mean", op.inputs, op.name, axes=(1, 2), keepdims=True)
        if output == PLAIN:
            self.ops.append(replace(op, inputs=tuple(map(self.as_it_is, op.inputs))))
        elif number == "float32" or (op.kind == "div" and self.may_divide_by_zero(op, number)):
            self.on_reals(op)
        elif op.kind in WEIGHTED:
            self.weighted(op, number)
        elif output == SAME:
            self.moved(op, number)
        else:
            self.computed(op, number)

    def weighted(self, op: Op, number: str) -> None:
        """A convolution or matrix product with its own codes for weight and bias."""
        x, weight, bias = self.graph.of(op)
        weight, bias = quantize_weights(op, self.quant(x.name, number), weight, bias, self.weights,
                                        self.known.get(weight.name))
        check_multiplier(self.graph, op, bias.quant.scale, self.scales[number][op.name])
        inputs = self.operand(op, x.name, number), self.placed(weight), self.placed(bias)
        self.give(replace(op, inputs=inputs), number)

    def computed(self, op: Op, number: str) -> None:
        """An op that brings its inputs to its output's scale itself, or gives numbers."""
        if self.in_codes(op.name):
            scales, out = self.data_scales(op, number), self.scales[number][op.name]
            check_multiplier(self.graph, op, products(op, scales), out)
            check_scales(self.graph, op, max(scales), out)
        inputs = [self.operand(op, name, number) for name in op.inputs]
        if op.kind == "div":
            inputs[1] = self.beside_zero(inputs[1])
        self.give(replace(op, inputs=tuple(inputs)), number)

    def data_scales(self, op: Op, number: str) -> list[float]:
        return [float(self.quant(t.name, number).scale) for t in data_inputs(self.graph, op)]

    def give(self, op: Op, number: str) -> None:
        """An op on codes of dtype `number`, whose output is rounded to what it is held in."""
        if not self.in_codes(op.name) or self.numbers.held[op.name] == number:
            self.ops.append(op)
            return
        quant = self.scales[number][op.name]
        wide = unique_name(f"{op.name}.{number}", self.tensors)
        self.tensors[wide] = replace(self.tensors[op.name], name=wide, dtype=number, quant=quant)
        self.ops += [replace(op, outputs=(wide,)), make("quantize", (wide,), op.name)]

    def may_divide_by_zero(self, op: Op, number: str) -> bool:
        """Whether a division's codes may hold a 0 that `beside_zero` cannot take away: they lie on both sides
        of it, or are known."""
        divisor, quant = self.graph.of(op)[1], self.quant(op.inputs[1], number)
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

    def moved(self, op: Op, number: str) -> None:
        """An op that hands codes on: inputs at other parameters than its output's are requantized for it."""
        out, inputs = self.scales[number][op.name], []
        data = {t.name for t in data_inputs(self.graph, op)}
        for name in op.inputs:
            held = name in data and not self.graph.tensors[name].is_constant
            operand = name if held else self.operand(op, name, number)
            if name in data and not self.tensors[operand].quant.same_as(out):
                operand = self.converted("quantize", operand, f"{op.name}.{name}", out.dtype, out)
            inputs.append(operand)
        self.give(replace(op, inputs=tuple(inputs)), number)

    def on_reals(self, op: Op) -> None:
        """An op in float32, its inputs dequantized and, where others need its codes, its output quantized."""
        self.on_real.append(op)
        inputs = tuple(map(self.real, op.inputs))
        if not self.in_codes(op.name):
            self.ops.append(replace(op, inputs=inputs))
            return
        real = unique_name(f"{op.name}.float", self.tensors)
        self.copies[op.name, "float32"] = real
        self.tensors[real] = replace(self.graph.tensors[op.name], name=real)
        self.ops += [replace(op, inputs=inputs, outputs=(real,)), make("quantize", (real,), op.name)]

    def real(self, name: str) -> str:
        """The tensor with the plain numbers of `name`."""
        if self.graph.tensors[name].is_constant or not self.in_codes(name):
            return self.as_it_is(name)
        return self.copy("dequantize", name, "float32", None)

    def codes(self, name: str, number: str) -> str:
        """The activation `name` in codes of dtype `number`."""
        if self.tensors[name].dtype == number:
            return name
        return self.copy("quantize", name, number, self.quant(name, number))

    def copy(self, kind: str, name: str, number: str, quant: QuantParams | None) -> str:
        if (name, number) not in self.copies:
            suffix = "float" if number == "float32" else number
            self.copies[name, number] = self.converted(kind, name, f"{name}.{suffix}", number, quant)
        return self.copies[name, number]

    def converted(self, kind: str, name: str, output: str, dtype: str, quant: QuantParams | None) -> str:
        output = unique_name(output, self.tensors)
        self.tensors[output] = replace(self.tensors[name], name=output, dtype=dtype, data=None, quant=quant)
        self.ops.append(make(kind, (name,), output))
        return output

    def operand(self, op: Op, name: str, number: str) -> str:
        """The name under which an op on codes reads an input: constants in place of data become codes."""
        source = self.graph.tensors[name]
        if all(t is not source for t in data_inputs(self.graph, op)):
            return self.as_it_is(name)
        if not source.is_constant:
            return self.codes(name, number)
        quant = weight_params(source.data, None) if op.kind == "batch_matmul" else self.quant(name, number)
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
