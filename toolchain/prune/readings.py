"""Of ops that can be read in several ways, the reading that leaves most channels free.

A reshape of [.., G * K] to [.., G, K] hands either K on or G, and a grouped convolution loses channels of all
groups alike or whole groups. What lies before and behind it decides: a group norm needs K whole, so G it is.
"""

from collections.abc import Iterable
from itertools import chain

import numpy as np

from toolchain.ir.channels import Choice, Link, Reading
from toolchain.ir.elements import Elements, Links, choices_of, components, edges
from toolchain.ir.graph import Graph, Op

Key = tuple[str, int]
"""An op, and which of its choices."""
Open = dict[Key, Choice]
"""Readings that may still hold, more than one of each choice."""


def chosen_links(graph: Graph, elements: Elements, coarse: bool = False) -> Links:
    """The links of every op, one reading of each choice.

    Readings through which fewer than two channels could go are dropped, which may drop others. Where nothing
    is left to drop, the first choice of those that touch each other takes the reading with most channels;
    coarse: with fewest, so that whole heads go, or whole groups of a convolution.
    """
    preferred = np.argmin if coarse else np.argmax
    known, choices = _Known(graph, elements), {op.name: choices_of(graph, op) for op in graph.ops}
    found = {(name, number): choice for name, of_op in choices.items() for number, choice in enumerate(of_op)}
    settled: dict[str, list[Link]] = {op.name: [] for op in graph.ops}
    new = _settle(settled, found)
    while found:
        known.learn(new, settled, found)
        free = known.free(found, settled)
        counts = {key: [known.channels(reading, free) for reading in choice] for key, choice in found.items()}
        alive = {key: _alive(choice, counts[key]) for key, choice in found.items()}
        if all(len(alive[key]) == len(choice) for key, choice in found.items()):
            alive |= {key: [found[key][int(preferred(counts[key]))]] for key in known.first(found)}
        found = alive
        new = _settle(settled, found)
    return settled


def _alive(choice: Choice, counts: list[int]) -> Choice:
    """Readings that leave a channel to choose; the first one where none does."""
    return [reading for reading, count in zip(choice, counts) if count > 1] or choice[:1]


def _settle(settled: dict[str, list[Link]], found: Open) -> list[Link]:
    """Move choices that have one reading left from `found` to `settled`; returns what they link."""
    new = []
    for op, number in [key for key, choice in found.items() if len(choice) == 1]:
        links, = found.pop((op, number))
        settled[op] += links
        new += links
    return new


class _Known:
    """What settled readings say: an open choice joins nothing, and keeps what none of its readings links.

    labels: of each element, as in `elements.components`
    stays:  elements that something keeps
    """

    def __init__(self, graph: Graph, elements: Elements):
        self.elements, self.labels = elements, np.arange(elements.count)
        self.stays, self._mark = np.zeros((2, elements.count), bool)
        self.pending = {op.name: op for op in graph.ops}
        self.shape = {name: graph.tensors[name].shape for name, _ in elements.axes}
        for name in (*graph.outputs, *(n for n in graph.inputs if graph.consumers[n])):
            self.stays[self._all_of([name])] = True

    def learn(self, links: Iterable[Link], settled: Links, found: Open) -> None:
        """Join what new links join, and keep what ops without open choices leave out."""
        left, right = edges(self.elements, {"": list(links)})
        self.labels = components(self.elements.count, self.labels[left], self.labels[right])[self.labels]
        still = {op for op, _ in found}
        for op in [op for name, op in self.pending.items() if name not in still]:
            self.stays[self._left_out(op, settled[op.name])] = True
            del self.pending[op.name]

    def free(self, found: Open, settled: Links) -> np.ndarray:
        """Of each label whether its elements may go, as far as is known."""
        linked = {name: list(settled[name]) for name in self.pending}
        for (op, _), choice in found.items():
            linked[op] += chain.from_iterable(choice)
        stays = [np.flatnonzero(self.stays), *(self._left_out(op, linked[name])
                                               for name, op in self.pending.items())]
        free = np.ones(self.elements.count, bool)
        free[self.labels[np.concatenate(stays)]] = False
        return free

    def channels(self, reading: Reading, free: np.ndarray) -> int:
        """How many could go through the op if this reading held."""
        left, right = edges(self.elements, {"": reading})
        roots, numbers = np.unique(self.labels[np.concatenate([left, right])], return_inverse=True)
        merged = components(len(roots), *np.split(numbers, 2))
        return len(np.setdiff1d(merged, merged[~free[roots]]))

    def first(self, found: Open) -> list[Key]:
        """The first of all choices that touch each other, be it through others."""
        touched = {key: np.unique(self.labels[self._linked(chain.from_iterable(choice))])
                   for key, choice in found.items()}
        left, right = (np.concatenate([labels[part] for labels in touched.values()])
                       for part in (slice(None, -1), slice(1, None)))
        regions, first = components(self.elements.count, left, right), {}
        for key, labels in touched.items():
            first.setdefault(int(regions[labels[0]]), key)
        return list(first.values())

    def _linked(self, links: Iterable[Link]) -> np.ndarray:
        slots = [self.elements.start[slot.tensor, slot.axis] + slot.index for link in links for slot in link]
        return np.concatenate([np.empty(0, np.int64), *slots])

    def _left_out(self, op: Op, links: Iterable[Link]) -> np.ndarray:
        """Elements of the op's tensors that none of these links has."""
        every = self._all_of([*op.inputs, *op.outputs])
        self._mark[every] = True
        self._mark[self._linked(links)] = False
        left_out = every[self._mark[every]]
        self._mark[every] = False
        return left_out

    def _all_of(self, tensors: Iterable[str]) -> np.ndarray:
        spans = [self.elements.span(name, axis) for name in dict.fromkeys(tensors)
                 for axis in range(len(self.shape.get(name, ())))]
        return np.concatenate([np.empty(0, np.int64), *(np.arange(span.start, span.stop) for span in spans)])
