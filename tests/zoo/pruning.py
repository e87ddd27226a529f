"""The zoo's networks without channels drawn at random, beside the whole ones with these channels at zero."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.zoo.catalogue import Entry
from tests.zoo.judge import float_error, samples_of
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.load import load
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import Group, channel_groups
from toolchain.prune.masks import scales_of, with_masks
from toolchain.runtime import reference

RATIO = 0.3
SAMPLES = (2, 2)
"""(count, seed) of `Entry.draw`."""


@dataclass(frozen=True)
class Pruned:
    """What became of a network.

    groups:           how many can be pruned
    channels:         how many they have, how many went
    macs, parameters: before and after
    off_by:           largest difference from the network with the channels at zero, as a share of an output's
                      range
    moved:            largest difference of that network from the whole one, likewise
    fixed:            op whose channels all stay -> why
    """

    groups: int
    channels: tuple[int, int]
    macs: tuple[int, int]
    parameters: tuple[int, int]
    off_by: float
    moved: float
    fixed: Mapping[str, str]


def pruned(entry: Entry) -> Pruned:
    """The network as the door gives it, on samples of its own."""
    graph = load(entry.open())
    feeds = samples_of(entry.draw(*SAMPLES)).fit_to(graph).feeds(np.arange(SAMPLES[0]))
    return pruned_at_random(graph, feeds)


def pruned_at_random(graph: Graph, feeds: Mapping[str, np.ndarray], ratio: float = RATIO,
                     seed: int = 0) -> Pruned:
    """Of each group a `ratio` of its channels goes, to the nearest whole number; importance is random."""
    grouping = channel_groups(graph)
    gone = _drawn(grouping.groups, ratio, np.random.default_rng(seed))
    smaller = check(sliced(graph, kept_elements(graph, list(zip(grouping.groups, gone)))), "FLOAT")
    scales = scales_of(grouping.groups, dict(enumerate(gone)))
    masked = with_masks(graph, grouping.groups).at(scales)
    whole, expected, found = (reference.run(version, feeds) for version in (graph, masked, smaller))
    return Pruned(len(grouping.groups), (sum(g.channels for g in grouping.groups), sum(map(len, gone))),
                  (graph_macs(graph), graph_macs(smaller)), (graph.parameters, smaller.parameters),
                  _difference(found, expected), _difference(expected, whole), grouping.fixed)


def _drawn(groups: Sequence[Group], ratio: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Of each group the channels that go."""
    return [rng.permutation(group.channels)[:round(ratio * group.channels)] for group in groups]


def _difference(found: Mapping[str, np.ndarray], exact: Mapping[str, np.ndarray]) -> float:
    return max(float_error(found[name], exact[name]) for name in exact)
