"""Loops of codes that are a layer of ONNX's own (operator specification, opset 14) when computed on reals.

ONNX Runtime has kernels for a whole sequence in float only, and takes ten times their time for the steps one
by one in INT8 (docs/recurrent.md). So such a layer stands between conversions, with the reals of its codes;
one step of it too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from toolchain.ir.graph import Graph, Op, Tensor, live_ops, unique_name
from toolchain.ir.loops import EXITS, Loop, has_loops, ops_of, parts
from toolchain.ir.quant import dequantize
from toolchain.ir.recognising import recognised
from toolchain.ir.streaming import Streaming, streamed
from toolchain.lower.rewriting import Rewriting

CONVERSIONS = frozenset({"quantize", "dequantize"})
"""Kinds that mean nothing on reals."""


def loops_on_reals(graph: Graph) -> Graph:
    """The graph with the loops of `coded_layers`, and what of their input is multiplied, on reals."""
    layers = coded_layers(graph)
    return _on_reals(graph, layers) if layers else graph


@lru_cache(maxsize=8)
def coded_layers(graph: Graph) -> tuple[Loop, ...]:
    """Loops on codes that `recognised` knows on reals."""
    if not has_loops(graph):
        return ()
    coded = [part for part in parts(graph) if isinstance(part, Loop) and _on_codes(graph, part)]
    reals = _on_reals(graph, coded)
    known = {part.name for part in parts(reals) if isinstance(part, Loop) and recognised(reals, part)}
    return tuple(loop for loop in coded if loop.name in known)


def step_on_reals(sequences: Graph, form: Streaming) -> Graph:
    """One step of a graph of whole sequences, with those layers and their states on reals, so that it answers
    as the sequence does. form: of the graph's streaming form on codes, whose names it has"""
    one = streamed(loops_on_reals(sequences))
    return one.graph.renamed({
        old: new for theirs, ours in zip(one.form.states, form.states, strict=True)
        for old, new in ((theirs.input, ours.input), (theirs.output, ours.output))})


def _on_codes(graph: Graph, loop: Loop) -> bool:
    return any(graph.tensors[op.name].quant is not None for op in ops_of(loop))


def _on_reals(graph: Graph, loops: Iterable[Loop]) -> Graph:
    layers = [op for loop in loops for op in ops_of(loop)]
    ahead = {name for op in layers if op.kind == "step" for name in _products(graph, op)}
    conversion = _Conversion(graph, frozenset(op.name for op in layers), frozenset(ahead))
    for op in graph.ops:
        conversion.add(op)
    made = conversion.graph()
    return made.with_ops(live_ops(made.ops, made.outputs))


def _products(graph: Graph, step: Op) -> Iterator[str]:
    """What makes all steps of what the layer reads at once: a convolution, reshapes and conversions."""
    name, kinds = step.inputs[0], {"reshape", "conv2d", *CONVERSIONS}
    while name in graph.producers and graph.producers[name].kind in kinds:
        op = graph.producers[name]
        yield op.name
        kinds -= {op.kind} & {"conv2d"}
        name = op.inputs[0]


class _Conversion(Rewriting):
    """layers: ops of loops that are to compute on reals
    ahead:  ops that do as well, beside themselves as they are for whoever else reads them
    reals:  tensor -> name of the tensor of its reals, of those that have one
    """

    def __init__(self, graph: Graph, layers: frozenset[str], ahead: frozenset[str]):
        super().__init__(graph)
        self.layers, self.ahead = layers, ahead
        self.reals: dict[str, str] = {}

    def add(self, op: Op) -> None:
        if op.name not in self.layers:
            self.ops.append(op)
        if op.name in self.layers | self.ahead and op.kind not in CONVERSIONS:
            inputs = tuple(self.real(tensor) for tensor in self.old.of(op))
            name = self.real(self.old.tensors[op.name])
            self.ops.append(replace(op, inputs=inputs, outputs=(name,)))
            if op.name in self.layers and op.kind in EXITS and name != op.name:
                self.last("quantize", [name], op.name)

    def real(self, tensor: Tensor) -> str:
        """Name of the tensor's reals, made where there are none yet."""
        name = tensor.name
        if name not in self.reals:
            self.reals[name] = self.made(tensor) if name in self.layers | self.ahead else self.outside(tensor)
        return self.reals[name]

    def made(self, tensor: Tensor) -> str:
        """Of what an op gives that computes on reals."""
        maker = self.old.producers[tensor.name]
        if maker.kind in CONVERSIONS:
            return self.real(self.old.of(maker)[0])
        if tensor.quant is None and tensor.name in self.layers:
            return tensor.name
        name = unique_name(f"{tensor.name}:real", self.tensors)
        self.tensors[name] = replace(tensor, name=name, dtype="float32", quant=None)
        return name

    def outside(self, tensor: Tensor) -> str:
        if tensor.quant is None:
            return tensor.name
        name = f"{tensor.name}:real"
        return self.inner("dequantize", [tensor.name], name) if tensor.data is None \
            else self.constant(name, dequantize(tensor.data, tensor.quant))
