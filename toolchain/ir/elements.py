"""Coordinates of all tensors as numbers, joined where they stand for the same channel.

Every coordinate along every axis of every tensor is an element. Links (`ir.channels.Link`) join elements; a
connected component is one channel with everything that goes with it. What the links of an op are depends on
what is to be done to channels: `links_of` are those of cutting them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.ir.channels import CHOICES, Choice, Link, picked
from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.ops import OPS

Links = Mapping[str, Sequence[Link]]
"""Op -> its links."""
Reason = tuple[str, Op | None]
"""(tensor, the op that touches it and links the element not; None where it goes in or out of the network)"""
FREE = np.iinfo(np.int64).max
"""No obstacle."""


class Elements:
    """Numbers the coordinates of all axes one after the other, as the ops meet the tensors.

    count: how many; axes: (tensor, axis) in that order; starts, sizes: the elements of each axis
    """

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


def links_of(graph: Graph, op: Op) -> list[Link]:
    """The op table's links for this op, with the graph's shapes."""
    links = OPS[op.kind].channels(op, _shapes(graph, op))
    return [*links, *picked(op, *known, _shapes(graph, op))] if (known := _known_places(graph, op)) else links


def _known_places(graph: Graph, op: Op) -> tuple[np.ndarray, ...]:
    """The indices of a gather that are a constant of its own, along one axis. A file may have some that lie
    outside: where they lead is the runtime's to refuse."""
    if op.kind != "gather":
        return ()
    indices, size = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[0]].shape[op.attrs["axis"]]
    own = indices.is_constant and graph.consumers[indices.name] == (op,) and len(indices.shape) == 1
    return (indices.data,) if own and ((indices.data >= 0) & (indices.data < size)).all() else ()


def choices_of(graph: Graph, op: Op) -> list[Choice]:
    """All ways to read the op: of each choice one reading holds; the first ones make `links_of`."""
    if op.kind in CHOICES:
        return CHOICES[op.kind](op, _shapes(graph, op))
    return [[links_of(graph, op)]]


def _shapes(graph: Graph, op: Op) -> Mapping[str, Shape]:
    return {name: graph.tensors[name].shape for name in (*op.inputs, *op.outputs)}


def edges(elements: Elements, links: Links) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of elements that are the same channel, pairwise."""
    left, right = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for link in (link for joined in links.values() for link in joined):
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


def obstacles(graph: Graph, elements: Elements, links: Links) -> tuple[np.ndarray, list[Reason]]:
    """For each element the number of the first reason why it must stay as it is, or FREE; and the reasons."""
    found, reasons = np.full(elements.count, FREE), []

    def block(tensor: str, op: Op | None, linked: Mapping[int, np.ndarray]) -> None:
        for axis in range(len(graph.tensors[tensor].shape)):
            span = elements.span(tensor, axis)
            stays = np.ones(span.stop - span.start, bool)
            stays[linked.get(axis, slice(0, 0))] = False
            found[span] = np.where(stays, np.minimum(found[span], len(reasons)), found[span])
        reasons.append((tensor, op))

    for name in (*graph.outputs, *(n for n in graph.inputs if graph.consumers[n])):
        block(name, None, {})
    for op in graph.ops:
        linked: dict[str, dict[int, list]] = {name: {} for name in (*op.inputs, *op.outputs)}
        for slot in (slot for link in links[op.name] for slot in link):
            linked[slot.tensor].setdefault(slot.axis, []).append(slot.index)
        for name, by_axis in linked.items():
            block(name, op, {axis: np.concatenate(parts) for axis, parts in by_axis.items()})
    return found, reasons


def joined(graph: Graph, elements: Elements, links: Links,
           linked: Links | None = None) -> tuple[np.ndarray, np.ndarray, list[Reason]]:
    """Of each element its channel's label, and the number of the first reason why that channel must stay, or
    FREE; and the reasons.

    linked: what is no obstacle, where that is more than `links` join
    """
    labels = components(elements.count, *edges(elements, links))
    found, reasons = obstacles(graph, elements, linked or links)
    first = np.full(elements.count, FREE)
    np.minimum.at(first, labels, found)
    return labels, first[labels], reasons
