"""Sizes and costs of a graph whose groups keep so many channels, without cutting it."""

from collections.abc import Sequence

from toolchain.ir.graph import Graph, Shape
from toolchain.prune.cost import Cost
from toolchain.prune.groups import Group


class Widths:
    """The sizes of all tensors as a function of how many channels each group keeps.

    An axis loses, for every channel that goes, as many elements as the channel has there; channels of a group
    have the same number, so which ones go does not matter.
    full:    the channels of each group
    on:      per op, the groups whose channels its inputs or output have
    touched: per group, positions of the ops that it is on
    near:    per group, the groups that share an op with it, itself included
    read:    per group, the constants that it lies on
    """

    def __init__(self, graph: Graph, groups: Sequence[Group]):
        self.graph = graph
        self.full = tuple(group.channels for group in groups)
        self._lies: dict[str, list[tuple[int, int, int]]] = {}  # tensor -> (axis, group, elements a channel)
        for number, group in enumerate(groups):
            for member in group.members:
                place = member.axis, number, len(member.index) // group.channels
                self._lies.setdefault(member.tensor, []).append(place)
        numbers = range(len(groups))
        self.on = [self._groups_on(*op.inputs, *op.outputs) for op in graph.ops]
        self.touched = [[op for op, found in enumerate(self.on) if number in found] for number in numbers]
        self.near = [sorted({number}.union(*(self.on[op] for op in self.touched[number])))
                     for number in numbers]
        self.read = [[tensor.name for tensor in graph.constants if number in self._groups_on(tensor.name)]
                     for number in numbers]

    def _groups_on(self, *tensors: str) -> tuple[int, ...]:
        return tuple(sorted({number for name in tensors for _, number, _ in self._lies.get(name, ())}))

    def shape(self, tensor: str, kept: Sequence[int]) -> Shape:
        """Of one tensor of the graph."""
        sizes = list(self.graph.tensors[tensor].shape)
        for axis, group, elements in self._lies.get(tensor, ()):
            sizes[axis] -= (self.full[group] - kept[group]) * elements
        return tuple(sizes)

    def shapes(self, kept: Sequence[int]) -> dict[str, Shape]:
        """Of every tensor, as `cut.sliced` gives them for any cut that keeps so many."""
        return {name: self.shape(name, kept) for name in self.graph.tensors}


class Price:
    """What the graph costs as a function of how many channels each group keeps; remembers what ops cost."""

    def __init__(self, widths: Widths, cost: Cost):
        self.widths, self.cost = widths, cost
        self._known: dict[tuple, float] = {}

    def at(self, kept: Sequence[int]) -> float:
        """Of the whole graph."""
        graph = self.widths.graph
        ops = sum(self.of_op(position, kept) for position in range(len(graph.ops)))
        constants = sum(self._constant(tensor.name, kept) for tensor in graph.constants)
        return self.cost.fixed + ops + constants + self.cost.of_channel * sum(kept)

    def of_group(self, group: int, kept: Sequence[int]) -> float:
        """Of the ops, constants and channels of one group: all that changes when only its count does."""
        ops = sum(self.of_op(position, kept) for position in self.widths.touched[group])
        constants = sum(self._constant(name, kept) for name in self.widths.read[group])
        return ops + constants + self.cost.of_channel * kept[group]

    def of_op(self, position: int, kept: Sequence[int]) -> float:
        """Of one op of the graph, by its position."""
        widths, op = self.widths, self.widths.graph.ops[position]
        key = position, *(kept[group] for group in widths.on[position])
        if key not in self._known:
            inputs = [widths.shape(name, kept) for name in op.inputs]
            self._known[key] = self.cost.of_op(op, inputs, widths.shape(op.name, kept))
        return self._known[key]

    def _constant(self, name: str, kept: Sequence[int]) -> float:
        return self.cost.of_constant(self.widths.shape(name, kept))
