"""Structured pruning in one step: the least important channels go until the network costs what it may."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np

from toolchain.errors import BadConfig, BadInput, BadSamples
from toolchain.ir.check import check, level_of
from toolchain.ir.graph import Graph
from toolchain.ir.ops import graph_macs
from toolchain.ir.passes import canonical
from toolchain.prune.constants import constant_channels, fold_constants
from toolchain.prune.cost import Cost, Limit
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.evidence import Evidence
from toolchain.prune.folded import folded
from toolchain.prune.groups import Group, Grouping, channel_groups
from toolchain.prune.importance import IMPORTANCE, Tells, importance
from toolchain.prune.masks import scales_of, with_masks
from toolchain.prune.select import least_counts, select, select_shares
from toolchain.prune.self_check import check_pruned
from toolchain.prune.sensitivity import increments, sensitivity
from toolchain.prune.widths import Widths
from toolchain.training_sections import PruneConfig

Steps = Callable[[Graph, Sequence[Group]], Sequence[int]]
"""(graph, its groups) -> what the kept channels of each are a multiple of."""


def no_rounding(graph: Graph, groups: Sequence[Group]) -> Sequence[int]:
    """Any number of channels is as good as its neighbours."""
    return [1] * len(groups)


@dataclass(frozen=True, eq=False)
class Aim:
    """What a network is to be cut down to, and by what it is judged.

    limits:   what it may take at most; all of them hold
    steps:    what the target's kernels like the kept channels to be a multiple of
    evidence: samples and the loss on them, for importance that is more than the weights'; None without
    channels: of each group before any step, by its name: of these a share stays in any case, and shares that
              go are of these; of a group without, of those that it has
    """

    limits: tuple[Limit, ...]
    steps: Steps = no_rounding
    evidence: Evidence | None = None
    seed: int = 0
    channels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupCut:
    """What happened to one group."""

    name: str
    channels: int
    kept: int


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

    @classmethod
    def of(cls, before: Graph, grouping: Grouping, steps: Sequence[int], after: Graph) -> "Pruned":
        """What became of the groups of a graph. steps: what their kept channels are a multiple of"""
        cuts = tuple(_cut_of(group, before, after) for group in grouping.groups)
        fixed = {**grouping.fixed, **narrow(grouping.groups, steps)}
        return cls(after, cuts, fixed, (graph_macs(before), graph_macs(after)),
                   (before.parameters, after.parameters))

    @property
    def ratio(self) -> float:
        """Share of the prunable channels that went."""
        return 1 - sum(g.kept for g in self.groups) / max(1, sum(g.channels for g in self.groups))

    @property
    def summary(self) -> str:
        """One line for people."""
        fixed = "; ".join(f"{name}: {why}" for name, why in self.fixed.items())
        return (f"pruned {self.ratio:.1%} of the channels in {len(self.groups)} groups: MACs "
                f"{self.macs[0]:,} -> {self.macs[1]:,}, parameters {self.parameters[0]:,} -> "
                f"{self.parameters[1]:,}; kept whole: {fixed or 'nothing'}")


def narrow(groups: Sequence[Group], steps: Sequence[int]) -> dict[str, str]:
    """Groups that stay whole -> why. steps: what their kept channels are a multiple of"""
    return {group.name: f"has {group.channels} channels, not more than the multiple {step}"
            for group, step in zip(groups, steps) if group.channels <= step}


def _cut_of(group: Group, before: Graph, after: Graph) -> GroupCut:
    """By the size of its first member; a group of a branch that went as a whole keeps nothing."""
    member = group.members[0]
    if member.tensor not in after.tensors:
        return GroupCut(group.name, group.channels, 0)
    lost = before.tensors[member.tensor].shape[member.axis] - after.tensors[member.tensor].shape[member.axis]
    return GroupCut(group.name, group.channels, group.channels - lost * group.channels // len(member.index))


def cut_to(graph: Graph, config: PruneConfig, aim: Aim) -> Graph:
    """The FLOAT graph without its least important channels; every tensor keeps its name. What channels that
    hold a constant add goes into biases first.

    Batch-norm statistics are those of the graph before: `train.fit.reestimate_batch_norm` follows.
    Raises BadInput where a limit cannot be reached, SelfCheckFailed where the smaller network does not
    compute what the whole one does with the cut channels at zero.
    """
    groups = grouping_of(graph, config).groups
    if not config.shares and keeps_within(graph, groups, aim):
        return graph
    gone = channels_to_go(graph, groups, scores_of(graph, groups, config, aim), config, aim)
    return checked_cut(fold_constants(graph, groups, gone), groups, gone)


def checked_cut(graph: Graph, groups: Sequence[Group], gone: Mapping[int, np.ndarray]) -> Graph:
    """The graph in smaller shapes, which computes what the whole one does with these channels at zero.

    gone: position of a group -> its channels that go.  Raises SelfCheckFailed.
    """
    kept = kept_elements(graph, [(groups[number], channels) for number, channels in gone.items()])
    smaller = check(sliced(graph, kept), "FLOAT")
    check_pruned(with_masks(graph, groups).at(scales_of(groups, gone)), smaller, kept)
    return smaller


def channels_to_go(graph: Graph, groups: Sequence[Group], scores: Sequence[np.ndarray], config: PruneConfig,
                   aim: Aim) -> dict[int, np.ndarray]:
    """Group position -> its channels that go, so that the limits hold. scores: of `scores_of`"""
    return _selection(graph, groups, scores, config, aim)(aim.limits)


def _selection(graph: Graph, groups: Sequence[Group], scores: Sequence[np.ndarray], config: PruneConfig,
               aim: Aim) -> Callable[[Sequence[Limit]], dict[int, np.ndarray]]:
    """Limits -> what goes."""
    widths, steps = Widths(*folded(graph, groups, config.heads)), aim.steps(graph, groups)
    whole = [aim.channels.get(group.name, group.channels) for group in groups]
    if config.shares:
        shares = shares_of(graph, groups, config, aim.channels)
        gone = select_shares(scores, shares, steps, least_counts(whole, steps), whole)
        return lambda limits: gone
    least = [min(few, group.channels) for few, group in zip(least_counts(whole, steps), groups)]
    by_cost = told_by(config, aim.evidence) != "channels"
    return lambda limits: select(widths, scores, limits, steps, config.scope, least, by_cost)


def cost_of(graph: Graph, groups: Sequence[Group], cost: Cost) -> float:
    """Of the network as a target runs it, batch norms folded and activations fused."""
    return cost.of(canonical(graph), groups)


def keeps_within(graph: Graph, groups: Sequence[Group], aim: Aim) -> bool:
    """Whether no limit is exceeded."""
    return all(cost_of(graph, groups, limit.cost) <= limit.most for limit in aim.limits)


def narrowed(graph: Graph, config: PruneConfig, aim: Aim) -> Callable[[Sequence[Limit]], Graph]:
    """Limits -> the graph that `cut_to` gives for them, unchecked; importance is worked out once."""
    groups = grouping_of(graph, config).groups
    selected = _selection(graph, groups, scores_of(graph, groups, config, aim), config, aim)

    def cut(limits: Sequence[Limit]) -> Graph:
        gone = selected(limits)
        return sliced(graph, kept_elements(graph, [(groups[n], channels) for n, channels in gone.items()]))

    return cut


def scores_of(graph: Graph, groups: Sequence[Group], config: PruneConfig, aim: Aim) -> list[np.ndarray]:
    """Per group (channels,), larger = more important; 0 for channels that hold a constant, which biases take
    in when they go. Raises BadSamples where samples are needed."""
    scores = importance(graph, groups, criterion_of(config, aim.evidence), aim.evidence, aim.seed)
    for values, found in zip(scores, constant_channels(graph, groups)):
        values[list(found)] = 0.0
    if config.scope != "sensitivity":
        return scores
    if aim.evidence is None:
        raise BadSamples(f'{graph.name}: [prune] scope = "sensitivity" measures the loss; give samples with '
                         f'--data')
    return increments(scores, sensitivity(graph, groups, scores, aim.evidence))


def criterion_of(config: PruneConfig, evidence: Evidence | None) -> str:
    """A key of IMPORTANCE."""
    if config.importance != "auto":
        return config.importance
    if evidence is None:
        return "l2"
    if not evidence.has_gradient:
        return "perturbation" if config.blocks else "hessian"
    return "fisher" if config.blocks else "taylor"


def told_by(config: PruneConfig, evidence: Evidence | None) -> Tells:
    """What scores are; those of a sensitivity scan are measured."""
    if config.scope == "sensitivity":
        return "increase"
    return IMPORTANCE[criterion_of(config, evidence)].tells


def grouping_of(graph: Graph, config: PruneConfig) -> Grouping:
    """The groups of a FLOAT graph whose channels may go. Raises BadInput, BadConfig."""
    if level_of(graph) != "FLOAT":
        raise BadInput(f"{graph.name}: only a float graph can be pruned; prune before quantizing")
    grouping = channel_groups(graph, config.heads)
    kept = kept_ops(graph, config)
    stays = {group.name: group for group in grouping.groups if kept & group.tensors}
    fixed = {name: "[prune] keep names it, or what must keep its channels" for name in stays}
    free = tuple(group for group in grouping.groups if group.name not in stays)
    return replace(grouping, groups=free, fixed={**grouping.fixed, **fixed})


def kept_ops(graph: Graph, config: PruneConfig) -> set[str]:
    """Names of the ops whose channels must all stay. Raises BadConfig."""
    return {name for pattern in config.keep for name in _named(graph, pattern)}


def shares_of(graph: Graph, groups: Sequence[Group], config: PruneConfig, before: Iterable[str] = ()
              ) -> list[float]:
    """Of each group the share of its channels that [prune] shares says, by its own name before all else; 0
    where they name it not. Raises BadConfig for a pattern that names none.

    before: names of groups that there were before earlier steps: one of a single channel is none any more
    """
    names = [{group.name, *(op.name for op in graph.ops if op.name in group.tensors)} for group in groups]
    for pattern in config.shares:
        if not any(fnmatchcase(name, pattern) for name in set(before).union(*names)):
            raise BadConfig(f'[prune] shares = "{pattern}" names nothing in {graph.name} whose channels can '
                            f'go; `edge prune --explain` lists what can')
    return [_share_of(group.name, own, config.shares) for group, own in zip(groups, names)]


def _share_of(group: str, names: set[str], shares: Mapping[str, float]) -> float:
    """names: of the group and of the ops that its channels are in"""
    if group in shares:
        return shares[group]
    return next((share for pattern, share in shares.items()
                 if any(fnmatchcase(name, pattern) for name in names)), 0.0)


def _named(graph: Graph, pattern: str) -> list[str]:
    found = [op.name for op in graph.ops if fnmatchcase(op.name, pattern)]
    if not found:
        raise BadConfig(f'[prune] keep = "{pattern}" names no op of {graph.name}; `edge inspect` lists them')
    return found
