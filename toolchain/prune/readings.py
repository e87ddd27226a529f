"""Of ops that can be read in several ways, the reading that leaves most channels free.

A reshape of [.., G * K] to [.., G, K] hands either K on or G, and a grouped convolution loses channels of all
groups alike or whole groups. What lies before and behind it decides: a group norm needs K whole, so G it is.
"""

from collections.abc import Mapping
from itertools import chain

import numpy as np

from toolchain.ir.channels import Choice, Link, Reading
from toolchain.ir.elements import FREE, Elements, Links, choices_of, components, edges, joined
from toolchain.ir.graph import Graph

Open = Mapping[tuple[str, int], Choice]
"""(op, which of its choices) -> readings that may still hold."""


def chosen_links(graph: Graph, elements: Elements) -> Links:
    """The links of every op, one reading of each choice.

    Readings through which fewer than two channels could go are dropped, which may drop others; where nothing
    is left to drop, the first op that still has a choice takes the reading with most free channels.
    """
    found = {(op.name, number): choice for op in graph.ops
             for number, choice in enumerate(choices_of(graph, op))}
    settled: dict[str, list[Link]] = {op.name: [] for op in graph.ops}
    _settle(settled, found)
    while found:
        labels, free = _state(graph, elements, settled, found)
        counts = {key: [_free_channels(elements, labels, free, reading) for reading in choice]
                  for key, choice in found.items()}
        alive = {key: _alive(choice, counts[key]) for key, choice in found.items()}
        if sum(map(len, alive.values())) == sum(map(len, found.values())):
            first = next(iter(found))
            alive[first] = [found[first][int(np.argmax(counts[first]))]]
        found = alive
        _settle(settled, found)
    return settled


def _alive(choice: Choice, counts: list[int]) -> Choice:
    """Readings that leave a channel to choose; the first one where none does."""
    return [reading for reading, count in zip(choice, counts) if count > 1] or choice[:1]


def _settle(settled: dict[str, list[Link]], found: dict[tuple[str, int], Choice]) -> None:
    """Move choices that have one reading left from `found` to `settled`."""
    for op, number in [key for key, choice in found.items() if len(choice) == 1]:
        settled[op] += found.pop((op, number))[0]


def _state(graph: Graph, elements: Elements, settled: Links, found: Open) -> tuple[np.ndarray, np.ndarray]:
    """Of each element its label and whether it may go, as far as is known: an open choice joins nothing, and
    keeps what none of its readings links."""
    linked = {op: list(links) for op, links in settled.items()}
    for (op, _), choice in found.items():
        linked[op] += chain.from_iterable(choice)
    labels, reason, _ = joined(graph, elements, settled, linked)
    return labels, reason == FREE


def _free_channels(elements: Elements, labels: np.ndarray, free: np.ndarray, reading: Reading) -> int:
    """How many channels could go through the op if this reading held."""
    left, right = edges(elements, {"": reading})
    roots, numbers = np.unique(labels[np.concatenate([left, right])], return_inverse=True)
    merged = components(len(roots), *np.split(numbers, 2))
    return len(np.setdiff1d(merged, merged[~free[roots]]))
