"""Whole blocks that can go: residual branches. Without one, its add hands the shortcut on.

An add joins two paths that fork at one tensor: the last one that both operands depend on. Where that is an
operand itself, the shortcut is the identity (He et al. 2016, figure 2); where it is not, the shortcut has ops
of its own, such as a 1x1 convolution, and stays while the other path, the one with more arithmetic in it, is
the branch. To remove a branch is to force its value to 0 where the add reads it: `with_branch_masks`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph, Op, constant, live_ops
from toolchain.ir.ops import graph_macs, make, op_macs
from toolchain.ir.rewriting import without
from toolchain.prune.groups import Member
from toolchain.prune.masks import MaskedGraph, Place


@dataclass(frozen=True)
class Branch:
    """A path that an add joins to its shortcut.

    name:     of the add
    operand:  what the add reads of the branch
    shortcut: what it reads beside it, which has the shape of their sum
    ops:      names of those that nothing needs without the branch, in the graph's order
    """

    name: str
    operand: str
    shortcut: str
    ops: tuple[str, ...]


def residual_branches(graph: Graph) -> tuple[Branch, ...]:
    """Every branch that can go, one of an add at most, in the order of the ops."""
    return tuple(found for _, found in _judged(graph) if isinstance(found, Branch))


def fixed_branches(graph: Graph) -> Mapping[str, str]:
    """Add whose branch cannot go -> why."""
    return {add.name: found for add, found in _judged(graph) if isinstance(found, str)}


def remove_branches(graph: Graph, names: Collection[str]) -> Graph:
    """The graph without the branches that these adds join, and without what only they need.

    An add with a fused activation becomes that activation, any other vanishes: its readers read the shortcut.
    One that makes an output of the graph becomes a reshape that changes nothing, so that the output keeps its
    name. Raises BadInput where no branch of that name can go.
    """
    branches = {branch.name: branch for branch in residual_branches(graph)}
    if unknown := sorted(set(names) - set(branches)):
        raise BadInput(f"{graph.name}: no removable branch {', '.join(unknown)}; there are "
                       f"{', '.join(branches) or 'none'}")
    ops = [_shortened(graph, op, branches[op.name].shortcut) if op.name in names else op for op in graph.ops]
    idle = {op.name for op in ops if op.name in names and op.kind == "reshape"}
    return without(graph.with_ops(ops), lambda op: op.name in idle)


def with_branch_masks(graph: Graph, branches: Sequence[Branch]) -> MaskedGraph:
    """The graph with every branch times a mask of one number where its add reads it; computes the same.

    Its `at` takes per branch an array of one factor: at 0 it computes what `remove_branches` leaves.
    """
    by_add = {branch.name: (number, branch) for number, branch in enumerate(branches)}
    ops, tensors, places = [], [], []
    for op in graph.ops:
        if op.name in by_add:
            number, branch = by_add[op.name]
            masked, mask = f"{op.name}:branch", f"{op.name}:branch:mask"
            operand = graph.tensors[branch.operand]
            tensors += [replace(operand, name=masked),
                        constant(mask, np.ones([1] * len(operand.shape), np.float32))]
            ops.append(make("mul", (operand.name, mask), masked))
            op = replace(op, inputs=tuple(masked if name == operand.name else name for name in op.inputs))
            places.append(Place(number, mask, Member(operand.name, 0, np.zeros(1, int), np.zeros(1, int))))
        ops.append(op)
    return MaskedGraph(graph.with_tensors(*tensors).with_ops(ops), tuple(places))


def branch_savings(graph: Graph, branches: Sequence[Branch],
                   cost: Callable[[Graph], float] = graph_macs) -> np.ndarray:
    """(branches,) float64: what the graph costs less without each branch alone; multiply-accumulates unless
    another cost is given."""
    whole = cost(graph)
    return np.array([whole - cost(remove_branches(graph, [branch.name])) for branch in branches], np.float64)


# Finding them -----------------------------------------------------------------------------------------------

def _judged(graph: Graph) -> Iterator[tuple[Op, Branch | str]]:
    """(add, its branch or why that must stay) of every add that joins one."""
    sources = _sources(graph)
    for op in graph.ops:
        if op.kind == "add" and all(name in sources for name in op.inputs):
            pairs = (op.inputs, op.inputs[::-1])
            paths = [(_path(graph, sources, *pair), *pair) for pair in pairs]
            path, operand, shortcut = max(paths, key=lambda found: _weight(graph, found[0]))
            if _weight(graph, path) > (0, 0):
                yield op, _branch(graph, op, path, operand, shortcut)


def _sources(graph: Graph) -> Mapping[str, int]:
    """Of each activation the set of those that it depends on, itself among them, as bits of an integer.

    Bits are numbered in the order of the activations: graph inputs, then the ops' outputs.
    """
    sources = {name: 1 << number for number, name in enumerate(graph.inputs)}
    for number, op in enumerate(graph.ops, len(graph.inputs)):
        bits = 1 << number
        for name in op.inputs:
            bits |= sources.get(name, 0)
        sources[op.name] = bits
    return sources


def _path(graph: Graph, sources: Mapping[str, int], operand: str, shortcut: str) -> list[Op]:
    """The ops between the fork and the operand: those that depend on the fork and that the operand needs."""
    fork = (sources[operand] & sources[shortcut]).bit_length() - 1
    if fork < 0:
        return []
    return [op for number, op in enumerate(graph.ops, len(graph.inputs))
            if number != fork and sources[op.name] >> fork & 1 and sources[operand] >> number & 1]


def _weight(graph: Graph, path: Sequence[Op]) -> tuple[int, int]:
    """(ops that multiply and accumulate, how often they do); the greater is the branch."""
    macs = [op_macs(graph, op) for op in path]
    return sum(n > 0 for n in macs), sum(macs)


def _branch(graph: Graph, add: Op, path: Sequence[Op], operand: str, shortcut: str) -> Branch | str:
    """The branch, or why it must stay."""
    shape, whole = graph.tensors[shortcut].shape, graph.tensors[add.name].shape
    if shape != whole:
        return f"its shortcut {shortcut} {shape} is broadcast to {whole}"
    shortened = [replace(op, inputs=(shortcut,)) if op is add else op for op in graph.ops]
    live = {op.name for op in live_ops(shortened, graph.outputs)}
    if staying := [op.name for op in path if op.name in live]:
        return _needed(graph, staying[-1], live - {add.name})
    return Branch(add.name, operand, shortcut, tuple(op.name for op in graph.ops if op.name not in live))


def _needed(graph: Graph, name: str, live: Collection[str]) -> str:
    """What else needs a tensor of the branch."""
    readers = [op for op in graph.consumers[name] if op.name in live]
    if readers:
        return f"{name} of the branch also feeds {readers[0].name} ({readers[0].kind})"
    return f"{name} of the branch is an output of the network"


def _shortened(graph: Graph, add: Op, shortcut: str) -> Op:
    """What is left of an add that reads zeros beside the shortcut."""
    if kind := add.attrs["activation"]:
        return make(kind, (shortcut,), add.name)
    return make("reshape", (shortcut,), add.name, shape=graph.tensors[add.name].shape)
