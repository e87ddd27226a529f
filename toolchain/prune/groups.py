"""Which channels must go together, from the op table's channel rules alone.

Every coordinate along every axis of every tensor is an element. An op's links (`ops.OPS[kind].channels`) join
elements that stand for the same channel; a connected component is one channel with everything that goes with
it: rows of the weights that make it, columns of those that read it, batch norm, residual partners, parts of a
concatenation.

A component may be cut if every op that touches one of its elements links that element, and none of them is in
an input or output of the graph. Components that lie on the same set of (tensor, axis) make a Group.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import OPS

FREE = np.iinfo(np.int64).max
"""No obstacle."""


@dataclass(frozen=True, eq=False)
class Member:
    """Where a group's channels lie along one axis of one tensor: element index[k] belongs to channel[k]."""

    tensor: str
    axis: int
    index: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that can go one by one. name: of the first op that touches them; channels: how many."""

    name: str
    channels: int
    members: tuple[Member, ...]

    @property
    def tensors(self) -> frozenset[str]:
        return frozenset(member.tensor for member in self.members)


@dataclass(frozen=True)
class Grouping:
    """groups: in the order of the ops; fixed: op whose output channels must all stay -> why."""

    groups: tuple[Group, ...]
    fixed: Mapping[str, str]


def channel_groups(graph: Graph) -> Grouping:
    """Every group of channels that can be cut, and why the others cannot."""
    elements = _Elements(graph)
    left, right = _edges(graph, elements)
    labels = components(elements.count, left, right)
    obstacles, reasons = _obstacles(graph, elements)
    worst = np.full(elements.count, FREE)
    np.minimum.at(worst, labels, obstacles)
    fixed = {}
    for op in graph.ops:
        if "weight" in OPS[op.kind].inputs:
            first = worst[labels[elements.span(op.name, len(graph.tensors[op.name].shape) - 1)]].min()
            if first != FREE:
                fixed[op.name] = reasons[first]
    return Grouping(_groups(graph, elements, labels, worst[labels] == FREE), fixed)


class _Elements:
    """Numbers the coordinates of all axes one after the other, as the ops meet the tensors."""

    def __init__(self, graph: Graph):
        met = dict.fromkeys(name for op in graph.ops for name in (*op.inputs, *op.outputs))
        self.start: dict[tuple[str, int], int] = {}
        self.count = 0
        for name in met:
            for axis, size in enumerate(graph.tensors[name].shape):
                self.start[name, axis] = self.count
                self.count += size
        self.axes = list(self.start)
        self.starts = np.array(list(self.start.values()), np.int64)
        self.sizes = np.diff(np.append(self.starts, self.count))

    def span(self, tensor: str, axis: int) -> slice:
        start = self.start[tensor, axis]
        return slice(start, start + int(self.sizes[self.axis_id(start)]))

    def axis_id(self, element):
        """Position in `axes` of the axis that an element lies on."""
        return np.searchsorted(self.starts, element, side="right") - 1


def links_of(graph: Graph, op: Op) -> list:
    """The op table's links for this op, with the graph's shapes."""
    names = (*op.inputs, *op.outputs)
    return OPS[op.kind].channels(op, {name: graph.tensors[name].shape for name in names})


def _edges(graph: Graph, elements: _Elements) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of elements that are the same channel, pairwise."""
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for op in graph.ops:
        for link in links_of(graph, op):
            slots = [elements.start[slot.tensor, slot.axis] + slot.index for slot in link]
            left += slots[:-1]
            right += slots[1:]
    return np.concatenate(left), np.concatenate(right)


def components(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Label of each of `count` elements: the smallest one it is connected with through left[k] - right[k].

    Hooking and pointer jumping (Shiloach & Vishkin 1982), whole arrays at a time.
    """
    labels = np.arange(count)
    while True:
        before = labels.copy()
        low = np.minimum(labels[left], labels[right])
        for side in (left, right):
            np.minimum.at(labels, before[side], low)
        while not np.array_equal(jumped := labels[labels], labels):
            labels = jumped
        if np.array_equal(labels, before):
            return labels


def _obstacles(graph: Graph, elements: _Elements) -> tuple[np.ndarray, list[str]]:
    """For each element the number of the first reason why it must stay, or FREE; and the reasons."""
    obstacles, reasons = np.full(elements.count, FREE), []

    def block(tensor: str, reason: str, linked: Mapping[int, np.ndarray]) -> None:
        for axis in range(len(graph.tensors[tensor].shape)):
            span = elements.span(tensor, axis)
            stays = np.ones(span.stop - span.start, bool)
            stays[linked.get(axis, slice(0, 0))] = False
            obstacles[span] = np.where(stays, np.minimum(obstacles[span], len(reasons)), obstacles[span])
        reasons.append(reason)

    for name in graph.outputs:
        block(name, f"{name} is an output of the network", {})
    for name in (n for n in graph.inputs if graph.consumers[n]):
        block(name, f"{name} is an input of the network", {})
    for op in graph.ops:
        linked: dict[str, dict[int, list]] = {name: {} for name in (*op.inputs, *op.outputs)}
        for slot in (slot for link in links_of(graph, op) for slot in link):
            linked[slot.tensor].setdefault(slot.axis, []).append(slot.index)
        for name, by_axis in linked.items():
            indices = {axis: np.concatenate(parts) for axis, parts in by_axis.items()}
            block(name, f"{op.name} ({op.kind}) needs all channels of {name}", indices)
    return obstacles, reasons


def _groups(graph: Graph, elements: _Elements, labels: np.ndarray, free: np.ndarray) -> tuple[Group, ...]:
    """Components that may be cut, gathered by the axes that they lie on."""
    element = np.flatnonzero(free)
    axis = elements.axis_id(element)
    pairs = np.unique(np.stack([labels[element], axis]), axis=1)
    roots, first = np.unique(pairs[0], return_index=True)
    by_signature: dict[bytes, list[int]] = {}
    for root, axes in zip(roots.tolist(), np.split(pairs[1], first[1:])):
        by_signature.setdefault(axes.tobytes(), []).append(root)
    order = np.argsort(labels[element], kind="stable")
    element, axis, label = element[order], axis[order], labels[element][order]
    groups = []
    for channels in map(np.array, by_signature.values()):
        bounds = np.searchsorted(label, channels), np.searchsorted(label, channels, side="right")
        sizes = bounds[1] - bounds[0]
        where = np.repeat(bounds[0] - np.append(0, np.cumsum(sizes)[:-1]), sizes) + np.arange(sizes.sum())
        channel = np.repeat(np.arange(len(channels)), sizes)
        groups.append(_group(graph, elements, element[where], axis[where], channel, len(channels)))
    made = {op.name: position for position, op in enumerate(graph.ops)}
    return tuple(sorted(groups, key=lambda group: made[group.name]))


def _group(graph: Graph, elements: _Elements, element, axis, channel, channels: int) -> Group:
    members = []
    for axis_id in np.unique(axis).tolist():
        on = axis == axis_id
        tensor, number = elements.axes[axis_id]
        members.append(Member(tensor, number, element[on] - elements.starts[axis_id], channel[on]))
    tensors = {member.tensor for member in members}
    name = next(op.name for op in graph.ops if tensors & {*op.inputs, *op.outputs})
    return Group(name, channels, tuple(members))
