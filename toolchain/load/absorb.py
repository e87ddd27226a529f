"""dequantize -> op -> quantize becomes the op on codes, where the reference has a kernel that takes them.

What is left computes on reals between codes, as it came.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from toolchain.errors import SelfCheckFailed, ToolchainError, Unsupported
from toolchain.ir.check import BIAS, WEIGHTED, check, level_of
from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops
from toolchain.ir.ops import APART, OPS
from toolchain.ir.quant import QuantParams, dequantize, quantize
from toolchain.load.selfcheck import REPORT, noise, unit
from toolchain.runtime import reference

MOVES = frozenset({"reshape", "transpose", "max_pool2d", "pad", "mirror_pad", "concat", "slice", "gather",
                   "tile", "resize_nearest", "depth_to_space", "space_to_depth", "reduce_max", "reduce_min"})
"""Kinds that hand codes through: they run on codes whatever follows."""
CLAMPS = ("relu", "relu6")
FIXED = {"logistic": QuantParams(1 / 256, -128), "softmax": QuantParams(1 / 256, -128),
         "tanh": QuantParams(1 / 128, 0), "log_softmax": QuantParams(16 / 256, 127)}
"""Kind -> the one meaning of its codes (TensorFlow Lite 8-bit quantization specification)."""


def absorbed(graph: Graph) -> Graph:
    """The graph in as many integer ops as there are kernels for; its inputs and outputs hold codes where
    nothing reads or makes their reals.

    Raises Unsupported listing the weights that are not around 0, SelfCheckFailed where an op on codes does
    not do what it does on reals.
    """
    absorbing = _Absorbing(_quantized_once(graph))
    inner = absorbing.run()
    if absorbing.problems:
        raise Unsupported.listing(graph.name, absorbing.problems)
    _check_steps(graph, inner)
    return check(_plain_constants(_borders(inner)), "QUANTIZED")


def integers_for(graph: Graph, formats: Sequence[str]) -> Graph:
    """The graph as the files of a target can hold it: C has no reals, so what a quantized graph computes on
    them between its codes is absorbed there."""
    return absorbed(graph) if "c" in formats and level_of(graph) == "QUANTIZED" else graph


def _quantized_once(graph: Graph) -> Graph:
    """Without quantize ops that do what another does, as quantizers give each reader one of its own."""
    first: dict[tuple, Op] = {}
    same: dict[str, str] = {}
    for op in graph.ops:
        if op.kind == "quantize" and op.name not in graph.outputs:
            quant = graph.tensors[op.name].quant
            key = op.inputs, quant.scale.tobytes(), quant.zero_point.tobytes(), quant.dtype
            if first.setdefault(key, op) is not op:
                same[op.name] = first[key].name
    return graph.with_ops(replace(op, inputs=tuple(same.get(name, name) for name in op.inputs))
                          for op in graph.ops if op.name not in same)


class _Absorbing:
    """Walks the ops once.

    codes: reals that a dequantize made -> the codes that they are of
    alias: codes -> others that are the same
    """

    def __init__(self, graph: Graph):
        self.old = graph
        self.tensors = dict(graph.tensors)
        self.ops: list[Op] = []
        self.codes: dict[str, str] = {}
        self.alias: dict[str, str] = {}
        self.problems: list[str] = []

    def run(self) -> Graph:
        for op in self.old.ops:
            self.visit(op)
        graph = replace(self.old, tensors=self.tensors)
        return graph.with_ops(live_ops(self.ops, graph.outputs))

    def visit(self, op: Op) -> None:
        op = replace(op, inputs=tuple(self.alias.get(name, name) for name in op.inputs))
        if op.kind == "dequantize":
            self.codes[op.name] = self.alias.get(op.inputs[0], op.inputs[0])
        made = None
        if op.kind == "quantize":
            made = self.integer_op(op)
        elif op.kind in MOVES and op.inputs[0] in self.codes:
            made = self.move(op)
        self.ops.append(made or op)

    def integer_op(self, quantizes: Op) -> Op | None:
        """The op whose result is quantized, on codes; None where it cannot be."""
        real = quantizes.inputs[0]
        if real in self.codes:
            return self.recoded(quantizes, self.codes[real])
        maker, activation = self._maker(real)
        if maker is None or maker.kind == "dequantize":
            return None
        attrs = dict(maker.attrs)
        if activation:
            if attrs.get("activation", "") is not None:
                return None
            attrs["activation"] = activation
        inputs = self.inputs(maker)
        if inputs is None:
            return None
        if maker.kind == "concat":
            inputs = self.alike(inputs, quantizes)
        op = replace(maker, inputs=inputs, outputs=quantizes.outputs, attrs=attrs)
        return self.tried(op) or self.requantized(op)

    def recoded(self, quantizes: Op, codes: str) -> Op | None:
        """From codes to codes; nothing where they mean the same."""
        same = self.tensors[codes].quant.same_as(self.tensors[quantizes.name].quant)
        if same and quantizes.name not in self.old.outputs:
            self.alias[quantizes.name] = codes
        return self.tried(replace(quantizes, inputs=(codes,)))

    def requantized(self, op: Op) -> Op | None:
        """The op at the parameters that its kernel gives, and a quantize to those of the file behind it; not
        where two roundings would make more than a code."""
        out = self.tensors[op.name]
        given = FIXED.get(op.kind, self.tensors[op.inputs[0]].quant)
        if given.scale >= 2 * out.quant.scale:
            return None
        between = replace(out, name=f"{op.name}:given", quant=given)
        self.tensors[between.name] = between
        made = self.tried(replace(op, outputs=(between.name,)))
        if made is None:
            return None
        self.ops.append(made)
        return Op("quantize", (between.name,), op.outputs)

    def alike(self, inputs: tuple[str, ...], joined: Op) -> tuple[str, ...]:
        """What is joined, in codes of the whole's parameters."""
        quant, found = self.tensors[joined.name].quant, []
        for number, name in enumerate(inputs):
            codes = self.tensors[name]
            if not codes.quant.same_as(quant):
                moved = replace(codes, name=f"{joined.name}:in{number}", data=None, quant=quant)
                self.tensors[moved.name] = moved
                self.ops.append(Op("quantize", (name,), (moved.name,)))
                codes = moved
            found.append(codes.name)
        return tuple(found)

    def _maker(self, real: str) -> tuple[Op | None, str | None]:
        """The op behind a value that nobody else reads, and the clamp between."""
        maker = self._sole_maker(real)
        if maker is not None and maker.kind in CLAMPS and maker.inputs[0] not in self.codes:
            return self._sole_maker(maker.inputs[0]), maker.kind
        return maker, None

    def _sole_maker(self, name: str) -> Op | None:
        read_once = len(self.old.consumers[name]) == 1 and name not in self.old.outputs
        return self.old.producers.get(name) if read_once else None

    def inputs(self, op: Op) -> tuple[str, ...] | None:
        """The op's inputs as codes; indices and conditions as they are."""
        if op.kind in WEIGHTED:
            return self.weighted(op)
        found = []
        for index, name in enumerate(op.inputs):
            role = OPS[op.kind].inputs[min(index, len(OPS[op.kind].inputs) - 1)]
            found.append(name if role in APART else self.codes.get(name))
        return None if None in found else tuple(found)

    def weighted(self, op: Op) -> tuple[str, ...] | None:
        """Bias codes are at the scale of x times the weight's."""
        x, weight, bias = (self.codes.get(name) for name in op.inputs)
        if x is None or weight is None or self.tensors[weight].dtype != "int8":
            return None
        quant = self.tensors[weight].quant
        if quant.zero_point.any() and quant.axis is not None:
            self.problems.append(f"{op.kind} {op.name}: int8 weights with zero points for each channel; only "
                                 f"one for all has a row: quantize them symmetrically (0, or 128 in uint8)")
        scales = self.tensors[x].quant.scale * self.tensors[weight].quant.scale
        if bias is None or not np.array_equal(self.tensors[bias].quant.scale, scales):
            bias = self.new_bias(op, scales)
        return bias and (x, weight, bias)

    def new_bias(self, op: Op, scales: np.ndarray) -> str | None:
        """A bias of which the file has reals, or codes at other scales."""
        name = op.inputs[2]
        known = self.tensors[self.codes[name]] if name in self.codes else self.tensors[name]
        if not known.is_constant:
            return None
        reals = known.data if known.quant is None else dequantize(known.data, known.quant)
        zero = np.zeros(scales.shape, np.int32)
        params = QuantParams(scales, zero, 0 if scales.ndim else None, BIAS["int8"])
        bias = constant(f"{op.name}:bias", quantize(reals, params), params)
        self.tensors[bias.name] = bias
        return bias.name

    def move(self, op: Op) -> Op | None:
        """An op that hands codes through, and a dequantize behind it for those who want reals."""
        inputs = self.inputs(op)
        if inputs is None or op.attrs.get("activation"):
            return None
        codes = replace(self.tensors[op.name], name=f"{op.name}:codes", dtype="int8",
                        quant=self.tensors[inputs[0]].quant)
        self.tensors[codes.name] = codes
        moved = self.tried(replace(op, inputs=inputs, outputs=(codes.name,)))
        if moved is None:
            return None
        self.ops.append(moved)
        self.codes[op.name] = codes.name
        return Op("dequantize", (codes.name,), op.outputs)

    def tried(self, op: Op) -> Op | None:
        """The op if the reference runs it on codes: its kernels say which parameters they take."""
        inputs = tuple(dict.fromkeys(n for n in op.inputs if not self.tensors[n].is_constant))
        if op.kind == "pow" and op.inputs[1] in inputs:  # a table has one exponent
            return None
        used = {name: self.tensors[name] for name in (*op.inputs, *op.outputs)}
        small = Graph(op.name, used, (op,), inputs, op.outputs)
        try:
            check(small, "QUANTIZED")
            reference.run_one(small, {name: np.zeros(used[name].shape, used[name].dtype) for name in inputs})
        except ToolchainError:
            return None
        return op


def _borders(graph: Graph) -> Graph:
    """Inputs that are only quantized hold the codes; so do outputs that a dequantize makes."""
    names: dict[str, str] = {}
    dropped = set()
    tensors = dict(graph.tensors)
    for op, border, codes in _conversions(graph):
        names[codes] = border
        dropped.add(op.name)
        tensors[border] = replace(tensors.pop(codes), name=border)
    ops = [replace(op, inputs=tuple(names.get(n, n) for n in op.inputs),
                   outputs=tuple(names.get(n, n) for n in op.outputs))
           for op in graph.ops if op.name not in dropped]
    return replace(graph, tensors=tensors).with_ops(ops)


def _conversions(graph: Graph) -> Iterator[tuple[Op, str, str]]:
    """(op, the graph's input or output, the codes) of conversions right at the borders."""
    for name in graph.inputs:
        readers = graph.consumers[name]
        if len(readers) == 1 and readers[0].kind == "quantize" and graph.tensors[name].quant is None \
                and name not in graph.outputs and readers[0].name not in graph.outputs:
            yield readers[0], name, readers[0].name
    taken = set()
    for name in graph.outputs:
        op = graph.producers.get(name)
        if op is not None and op.kind == "dequantize" and not graph.consumers[name]:
            codes = op.inputs[0]
            maker = graph.producers.get(codes)
            free = maker is not None and codes not in taken and codes not in graph.outputs
            if free and not (maker.kind == "quantize" and maker.inputs[0] in graph.inputs):
                taken.add(codes)
                yield op, name, codes


def _plain_constants(graph: Graph) -> Graph:
    """A dequantize of a constant is a constant."""
    made: dict[str, Tensor] = {}
    for op in graph.ops:
        tensor = graph.tensors[op.inputs[0]]
        if op.kind == "dequantize" and tensor.is_constant and op.name not in graph.outputs:
            made[op.name] = constant(op.name, dequantize(tensor.data, tensor.quant))
    return graph.with_tensors(*made.values()).with_ops(op for op in graph.ops if op.name not in made)


def _check_steps(before: Graph, after: Graph) -> None:
    """Raises SelfCheckFailed where an integer op is more than a code away from the reals that it stands for,
    on the same codes."""
    shared = [op for op in after.ops if op.name in before.tensors and after.tensors[op.name].dtype == "int8"]
    feeds = noise(before)
    values = {**feeds, **reference.run(before, feeds, keep=[op.name for op in shared])}
    for op in shared:
        single = unit(after, op, values)
        got = reference.run_one(single, {name: values[name] for name in single.inputs})[op.name]
        apart = np.abs(got.astype(int) - values[op.name]).max()
        if apart > 1:
            raise SelfCheckFailed(f"{before.name}: {op.name} ({op.kind}) on codes is {apart} codes away from "
                                  f"the same op on reals. {REPORT}")
