"""Sizes and costs of a graph whose groups keep so many channels, without cutting it."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter, mul

from toolchain.ir.graph import Graph, Shape
from toolchain.ir.loops import repeats
from toolchain.prune.cost import Cost
from toolchain.prune.groups import Group


class Widths:
    """The sizes of all tensors as a function of how many channels each group keeps.

    An axis loses, for every channel that goes, as many elements as the channel has there; channels of a group
    have the same number, so which ones go does not matter.
    times:   op that a loop repeats -> how often
    full:    the channels of each group
    on:      per op, the groups whose channels its inputs or output have
    touched: per group, positions of the ops that it is on
    near:    per group, the groups that share an op with it, itself included
    read:    per group, the constants that it lies on
    """

    def __init__(self, graph: Graph, groups: Sequence[Group]):
        self.graph, self.times = graph, repeats(graph)
        self.full = tuple(group.channels for group in groups)
        self._lies = {tensor: [_Axis(*place, self.full) for place in places]
                      for tensor, places in _places(groups).items()}
        numbers = range(len(groups))
        self.on = [self.groups_on(*op.inputs, *op.outputs) for op in graph.ops]
        self.touched = [[op for op, found in enumerate(self.on) if number in found] for number in numbers]
        self.near = [sorted({number}.union(*(self.on[op] for op in self.touched[number])))
                     for number in numbers]
        self.read = [[tensor.name for tensor in graph.constants if number in self.groups_on(tensor.name)]
                     for number in numbers]

    def groups_on(self, *tensors: str) -> tuple[int, ...]:
        """Those whose channels these tensors have."""
        axes = (axis for name in tensors for axis in self._lies.get(name, ()))
        return tuple(sorted({number for axis in axes for number in axis.groups}))

    def shape(self, tensor: str, kept: Sequence[int]) -> Shape:
        """Of one tensor of the graph."""
        if tensor not in self._lies:
            return self.graph.tensors[tensor].shape
        sizes = list(self.graph.tensors[tensor].shape)
        for axis in self._lies[tensor]:
            sizes[axis.number] -= axis.lost(kept)
        return tuple(sizes)

    def shapes(self, kept: Sequence[int]) -> dict[str, Shape]:
        """Of every tensor, as `cut.sliced` gives them for any cut that keeps so many."""
        return {name: self.shape(name, kept) for name in self.graph.tensors}


class _Axis:
    """An axis of a tensor: the groups whose channels lie on it, and how many elements each channel has."""

    def __init__(self, number: int, elements: Mapping[int, int], full: Sequence[int]):
        self.number, self.groups = number, tuple(elements)
        self._kept, self._elements = _counts(self.groups), tuple(elements.values())
        self._whole = sum(full[group] * each for group, each in elements.items())

    def lost(self, kept: Sequence[int]) -> int:
        """Elements that are gone where groups keep so many channels."""
        return self._whole - sum(map(mul, self._kept(kept), self._elements))


def _places(groups: Sequence[Group]) -> dict[str, list[tuple[int, dict[int, int]]]]:
    """Tensor -> its axes that have channels: (number, group -> elements a channel)."""
    places: dict[str, dict[int, dict[int, int]]] = {}
    for number, group in enumerate(groups):
        for member in group.members:
            elements = places.setdefault(member.tensor, {}).setdefault(member.axis, {})
            elements[number] = elements.get(number, 0) + len(member.index) // group.channels
    return {tensor: list(by_axis.items()) for tensor, by_axis in places.items()}


def _counts(groups: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """Picks the counts of these groups."""
    if len(groups) > 1:
        return itemgetter(*groups)
    return lambda kept: tuple(kept[group] for group in groups)


class Price:
    """What the graph costs as a function of how many channels each group keeps; remembers what ops cost.

    What costs nothing in full size is taken to cost nothing in any.
    """

    def __init__(self, widths: Widths, cost: Cost):
        self.widths, self.cost = widths, cost
        self._ops = [_Part(on) for on in widths.on]
        self._constants = {tensor.name: _Part(widths.groups_on(tensor.name))
                           for tensor in widths.graph.constants}
        paid = {op for op in range(len(self._ops)) if self.of_op(op, widths.full)}
        bought = {name for name in self._constants if self._of_constant(name, widths.full)}
        self._paid, self._bought = sorted(paid), [name for name in self._constants if name in bought]
        self._paid_of = [[op for op in touched if op in paid] for touched in widths.touched]
        self._bought_of = [[name for name in read if name in bought] for read in widths.read]

    def at(self, kept: Sequence[int]) -> float:
        """Of the whole graph."""
        return (self.cost.fixed + self._of(self._paid, self._bought, kept)
                + self.cost.of_channel * sum(kept))

    def of_group(self, group: int, kept: Sequence[int]) -> float:
        """Of the ops, constants and channels of one group: all that changes when only its count does."""
        return (self._of(self._paid_of[group], self._bought_of[group], kept)
                + self.cost.of_channel * kept[group])

    def _of(self, ops: Sequence[int], constants: Sequence[str], kept: Sequence[int]) -> float:
        return (sum([self.of_op(op, kept) for op in ops])
                + sum([self._of_constant(name, kept) for name in constants]))

    def of_op(self, position: int, kept: Sequence[int]) -> float:
        """Of one op of the graph, by its position."""
        part = self._ops[position]
        if (key := part.kept(kept)) not in part.known:
            op, shape = self.widths.graph.ops[position], self.widths.shape
            inputs = [shape(name, kept) for name in op.inputs]
            times = self.widths.times.get(op.name, 1)
            part.known[key] = times * self.cost.of_op(op, inputs, shape(op.name, kept))
        return part.known[key]

    def _of_constant(self, name: str, kept: Sequence[int]) -> float:
        part = self._constants[name]
        if (key := part.kept(kept)) not in part.known:
            part.known[key] = self.cost.of_constant(self.widths.shape(name, kept))
        return part.known[key]


class _Part:
    """Costs of an op or a constant that are known. kept: picks the counts that they depend on"""

    def __init__(self, groups: Sequence[int]):
        self.kept, self.known = _counts(groups), {}
