"""Every op of a quantized network on its own: one graph in which none reads what another made."""

from collections.abc import Container
from dataclasses import replace

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import parts

ALONE = ":alone"
"""Suffix of what an op makes on its own."""


def isolated(quantized: Graph, known: Container[str]) -> Graph:
    """The graph cut at the tensors of `known`: each that is read is an input, each that is made is an output,
    called with the suffix ALONE.

    known: activations of the float graph; what stands between them (conversions for an op on reals, codes
           requantized for a concat) stays with the op that needs it
    All of them run in one session, for the price of one inference. What a loop repeats is left out: it reads
    as many values of each sample as there are steps.
    """
    tensors, ops, inputs = dict(quantized.tensors), [], {}
    for op in (part for part in parts(quantized) if isinstance(part, Op)):
        inputs |= {name: None for name in op.inputs if name in known and not tensors[name].is_constant}
        ops.append(_renamed(op, tensors) if op.name in known else op)
    outputs = tuple(op.name for op in ops if op.name.endswith(ALONE))
    cut = replace(quantized, tensors=tensors, inputs=tuple(inputs), outputs=outputs, permutations={})
    return cut.with_ops(ops)


def _renamed(op: Op, tensors: dict) -> Op:
    name = op.name + ALONE
    tensors[name] = replace(tensors[op.name], name=name)
    return replace(op, outputs=(name,))
