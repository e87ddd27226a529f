"""Structured pruning: one global ranking of channels, cut in bundles that the target's kernels like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import math

import numpy as np

from toolchain.errors import BadInput, SelfCheckFailed
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import Group, Grouping, channel_groups
from toolchain.prune.importance import importance
from toolchain.prune.masks import scales_of, with_masks
from toolchain.recipe import PruneConfig
from toolchain.runtime import reference

TOLERANCE = 1e-4
"""Largest allowed |sliced - masked|, as a share of the output's range."""
NARROWEST = 0.01
"""Least range that an output is judged by, as a share of its magnitude: float32 rounding is no error."""


@dataclass(frozen=True)
class GroupCut:
    """What happened to one group. multiple: what the kept channels are a multiple of."""

    name: str
    channels: int
    kept: int
    multiple: int

    @property
    def prunable(self) -> bool:
        return self.channels > self.multiple


@dataclass(frozen=True, eq=False)
class Pruned:
    """A smaller graph and what was done to get it.

    fixed:            op whose output channels had to stay, or group too narrow for its multiple -> why
    macs, parameters: before and after
    """

    graph: Graph
    groups: tuple[GroupCut, ...]
    fixed: Mapping[str, str]
    macs: tuple[int, int]
    parameters: tuple[int, int]

    @property
    def ratio(self) -> float:
        """Share of the prunable channels that went."""
        prunable = [group for group in self.groups if group.prunable]
        return 1 - sum(g.kept for g in prunable) / max(1, sum(g.channels for g in prunable))

    @property
    def summary(self) -> str:
        """One line for people."""
        fixed = "; ".join(f"{name}: {why}" for name, why in self.fixed.items())
        return (f"pruned {self.ratio:.1%} of the channels in {sum(g.prunable for g in self.groups)} groups: "
                f"MACs {self.macs[0]:,} -> {self.macs[1]:,}, parameters {self.parameters[0]:,} -> "
                f"{self.parameters[1]:,}; kept whole: {fixed or 'nothing'}")


def prune(graph: Graph, config: PruneConfig, multiples: Mapping[str, int]) -> Pruned:
    """Remove the least important channels of a FLOAT graph; every tensor keeps its name.

    multiples: op kind -> what the target's kernel likes its channels to be a multiple of
    Batch-norm statistics are those of the unpruned network: `train.fit.reestimate_batch_norm` follows.
    Raises BadInput for a quantized graph.
    """
    if level_of(graph) != "FLOAT":
        raise BadInput(f"{graph.name}: only a float graph can be pruned; prune before quantizing")
    grouping, steps, cuts = _cuts(graph, config, multiples)
    kept = kept_elements(graph, cuts)
    smaller = check(sliced(graph, kept), "FLOAT")
    gone = {number: channels for number, (_, channels) in enumerate(cuts)}
    _self_check(with_masks(graph, grouping.groups).at(scales_of(grouping.groups, gone)), smaller)
    groups = tuple(GroupCut(group.name, group.channels, group.channels - len(gone), step)
                   for (group, gone), step in zip(cuts, steps))
    narrow = {cut.name: f"has {cut.channels} channels, not more than the multiple {cut.multiple}"
              for cut in groups if not cut.prunable}
    return Pruned(smaller, groups, {**grouping.fixed, **narrow}, (graph_macs(graph), graph_macs(smaller)),
                  (graph.parameters, smaller.parameters))


def narrowed(graph: Graph, config: PruneConfig, multiples: Mapping[str, int]) -> Graph:
    """The graph that `prune` gives, without the check that it computes what it should."""
    *_, cuts = _cuts(graph, config, multiples)
    return sliced(graph, kept_elements(graph, cuts))


def _cuts(graph: Graph, config: PruneConfig,
          multiples: Mapping[str, int]) -> tuple[Grouping, list[int], list[tuple[Group, np.ndarray]]]:
    """The groups; of each, what its kept channels are a multiple of, and the channels to remove."""
    grouping = channel_groups(graph)
    steps = [config.channel_multiple or _multiple(graph, group, multiples) for group in grouping.groups]
    return grouping, steps, select(graph, grouping.groups, steps, config)


def _multiple(graph: Graph, group: Group, multiples: Mapping[str, int]) -> int:
    """Least common multiple of what the kernels that make or read the group's channels like."""
    kinds = {op.kind for op in graph.ops if group.tensors & {*op.inputs, *op.outputs}}
    return math.lcm(*(multiples[kind] for kind in kinds if kind in multiples))


@dataclass(frozen=True, eq=False)
class Bundle:
    """Channels of one group that go together, so that what stays is a multiple; their mean importance."""

    group: int
    channels: np.ndarray
    importance: float


def select(graph: Graph, groups: Sequence[Group], steps: Sequence[int],
           config: PruneConfig) -> list[tuple[Group, np.ndarray]]:
    """The channels to remove of each group: the least important bundles, as near the ratio as they come."""
    bundles = []
    for number, (group, step) in enumerate(zip(groups, steps)):
        measure = "l2" if config.importance == "auto" else config.importance
        bundles += _bundles(number, importance(graph, group, measure), step)
    bundles.sort(key=lambda bundle: bundle.importance)  # stable: ties stay in the order of the graph
    sizes = np.array([len(bundle.channels) for bundle in bundles], np.int64)
    target = config.ratio * sum(group.channels for group, step in zip(groups, steps) if group.channels > step)
    going = bundles[:int(np.sum(np.cumsum(sizes) - sizes / 2 <= target))]
    gone = [[b.channels for b in going if b.group == number] for number in range(len(groups))]
    return [(group, np.concatenate([np.empty(0, np.int64), *parts])) for group, parts in zip(groups, gone)]


def _bundles(number: int, scores: np.ndarray, step: int) -> list[Bundle]:
    """Least important first; the first one leaves a multiple of `step`, and the last `step` channels stay."""
    order = np.argsort(scores, kind="stable")
    starts = list(range(len(scores) % step, len(scores) - step + 1, step))
    ends = sorted({0, *starts})
    return [Bundle(number, order[a:b], float(scores[order[a:b]].mean())) for a, b in zip(ends, ends[1:])]


def _self_check(full: Graph, smaller: Graph) -> None:
    """The sliced network computes what the whole one does with the cut channels at zero."""
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal(full.tensors[name].shape, np.float32) for name in full.inputs}
    expected, got = reference.run(full, feeds), reference.run(smaller, feeds)
    for name in full.outputs:
        error = float(np.abs(got[name] - expected[name]).max())
        span, magnitude = float(np.ptp(expected[name])), float(np.abs(expected[name]).max())
        scale = max(span, NARROWEST * magnitude) or 1.0
        if not error <= TOLERANCE * scale:
            raise SelfCheckFailed(f"{full.name}: after pruning, {name} is {error:.2g} away from the network "
                                  f"with the cut channels at zero. This is a bug in a channel rule: please "
                                  f"report it")
