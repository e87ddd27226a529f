"""Loops written out: the ops of each step one after the other, for everything that runs ops in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import Loop, has_loops, parts
from toolchain.ir.ops import make


@dataclass(frozen=True, eq=False)
class Unrolled:
    """graph: without loops; all that they do not repeat is as it was
    steps: tensor that a loop repeats -> its name at each step, in order
    """

    graph: Graph
    steps: Mapping[str, tuple[str, ...]]


@lru_cache(maxsize=8)
def unrolled(graph: Graph) -> Unrolled:
    """What loop repeats a tensor `x` becomes `x@0`, `x@1` ... by number of the step."""
    return _Unrolling(graph).run() if has_loops(graph) else Unrolled(graph, {})


def stepped(flat: Unrolled, names: Iterable[str]) -> tuple[str, ...]:
    """The names in the unrolled graph of these activations, of each step where they are repeated."""
    each = (step for name in names for step in flat.steps.get(name, (name,)))
    return tuple(dict.fromkeys(name for name in each if not flat.graph.tensors[name].is_constant))


def stacked(flat: Unrolled, name: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N, steps, ...): what is repeated, from its values (N, ...) at each step. A constant, which a state
    may begin with, is the same for every sample."""
    each = [values[step] if step in values else flat.graph.tensors[step].data for step in flat.steps[name]]
    count = max(map(len, each))
    return np.stack([np.broadcast_to(x, (count, *x.shape[1:])) for x in each], axis=1)


class _Unrolling:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.tensors = dict(graph.tensors)
        self.ops: list[Op] = []
        self.steps: dict[str, tuple[str, ...]] = {}
        self.leaving: dict[str, str] = {}

    def run(self) -> Unrolled:
        for part in parts(self.graph):
            if isinstance(part, Loop):
                self.repeat(part)
            else:
                self.ops.append(part)
        graph = replace(self.graph, tensors=self.tensors).with_ops(self.ops)
        steps = {name: tuple(self.leaving.get(each, each) for each in names)
                 for name, names in self.steps.items()}
        return Unrolled(graph.renamed(self.leaving), steps)

    def repeat(self, loop: Loop) -> None:
        at: dict[str, str] = {}
        every: dict[str, list[str]] = {op.name: [] for op in loop.body}
        for number in range(loop.steps):
            before, at = at, {}
            for op in loop.body:
                at[op.name] = self.at_step(op, number, loop, before, at)
                every[op.name].append(at[op.name])
        self.steps |= {name: tuple(names) for name, names in every.items()}
        for op in loop.exits:
            self.leave(op, every[op.inputs[0]])

    def at_step(self, op: Op, number: int, loop: Loop, before: Mapping[str, str],
                at: Mapping[str, str]) -> str:
        """Name of what the op gives at that step; before, at: names at the last step and at this one."""
        if op.kind == "state":
            return before[op.inputs[1]] if before else op.inputs[0]
        name = self.placed(op.name, f"{op.name}@{number}")
        if op.kind == "step":
            place = loop.steps - 1 - number if op.attrs["reverse"] else number
            self.take(op, place, name)
        else:
            self.ops.append(replace(op, inputs=tuple(at.get(n, n) for n in op.inputs), outputs=(name,)))
        return name

    def placed(self, like: str, name: str, shape: tuple[int, ...] | None = None) -> str:
        tensor = self.graph.tensors[like]
        self.tensors[name] = replace(tensor, name=name, shape=tensor.shape if shape is None else shape)
        return name

    def take(self, op: Op, place: int, name: str) -> None:
        """One place along the axis, and the axis away."""
        x, axis = self.graph.tensors[op.inputs[0]], op.attrs["axis"]
        begin, end = [0] * len(x.shape), list(x.shape)
        begin[axis], end[axis] = place, place + 1
        cut = self.placed(op.name, f"{name}:cut", (*x.shape[:axis], 1, *x.shape[axis + 1:]))
        self.ops += [make("slice", (x.name,), cut, begin=begin, end=end, strides=[1] * len(begin)),
                     make("reshape", (cut,), name, shape=self.tensors[name].shape)]

    def leave(self, op: Op, names: list[str]) -> None:
        if op.kind == "last":
            self.leave_last(op, names[-1])
            return
        axis, whole = op.attrs["axis"], self.graph.tensors[op.name]
        one = (*whole.shape[:axis], 1, *whole.shape[axis + 1:])
        wide = [self.placed(op.name, f"{name}:{op.name}", one) for name in names]
        self.ops += [make("reshape", (name,), cut, shape=one) for name, cut in zip(names, wide, strict=True)]
        ordered = wide[::-1] if op.attrs["reverse"] else wide
        self.ops.append(make("concat", ordered, op.name, axis=axis))

    def leave_last(self, op: Op, name: str) -> None:
        """What the last step made takes the name; what has one already is copied."""
        if name in self.leaving or name in self.graph.tensors:
            self.ops.append(make("reshape", (name,), op.name, shape=self.tensors[name].shape))
        else:
            self.leaving[name] = op.name
