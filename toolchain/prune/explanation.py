"""What could be pruned, what is, and what is not and why: `edge prune --explain`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph
from toolchain.prune.blocks import fixed_branches, residual_branches
from toolchain.prune.groups import Group, Grouping
from toolchain.prune.low_rank import ThinLine


@dataclass(frozen=True)
class Scores:
    """How important the channels of a group are."""

    least: float
    median: float
    most: float


@dataclass(frozen=True)
class GroupLine:
    """One group of channels.

    makers:  ops with weights whose output has its channels, so that rows of the weights go
    readers: ops with weights that read them, so that columns go
    tensors: all that it lies on
    gone:    how many of its channels go
    scores:  None where nobody scored them
    """

    name: str
    channels: int
    makers: tuple[str, ...]
    readers: tuple[str, ...]
    tensors: tuple[str, ...]
    gone: int = 0
    scores: Scores | None = None


@dataclass(frozen=True)
class KeptLine:
    """An op with weights, or a group, whose channels all stay, and why. kind: of op, "group" for a group."""

    name: str
    kind: str
    channels: int
    reason: str


@dataclass(frozen=True)
class BranchLine:
    """A residual branch, named by the add that joins it.

    ops:    how many nothing else needs
    gone:   whether it goes as a whole
    reason: why it cannot; "" where it can
    """

    name: str
    ops: int
    gone: bool
    reason: str = ""


@dataclass(frozen=True)
class Explanation:
    """Everything that has channels to give, in the order of the ops, and everything that has none.

    branches: where branches may go; groups and kept are then of what is left without those that do
    thin:     where ops may become two thinner ones; unit: of their costs
    """

    model: str
    groups: tuple[GroupLine, ...]
    kept: tuple[KeptLine, ...]
    branches: tuple[BranchLine, ...] = ()
    thin: tuple[ThinLine, ...] = ()
    unit: str = ""


def explain(graph: Graph, grouping: Grouping, scores: Sequence[np.ndarray] | None = None,
            gone: Mapping[int, np.ndarray] | None = None) -> Explanation:
    """Every group and everything that is fixed.

    scores: per group (channels,);  gone: position of a group -> its channels that go
    A name in `grouping.fixed` that is no op is that of a group, such as one too narrow to be cut.
    """
    lines = [_line(graph, group, scores[number] if scores is not None else None,
                   len((gone or {}).get(number, ()))) for number, group in enumerate(grouping.groups)]
    kept = [_kept(graph, grouping, name, reason) for name, reason in grouping.fixed.items()]
    return Explanation(graph.name, tuple(lines), tuple(kept))


def branch_lines(graph: Graph, removed: Collection[str]) -> tuple[BranchLine, ...]:
    """Of every add that joins a branch, in the order of the ops.

    removed: names of branches that went; those within them went too
    """
    free = {branch.name: branch for branch in residual_branches(graph)}
    inner = {name for branch in free.values() if branch.name in removed for name in branch.ops}
    lines = {name: BranchLine(name, len(branch.ops), name in removed or name in inner)
             for name, branch in free.items()}
    lines |= {name: BranchLine(name, 0, False, why) for name, why in fixed_branches(graph).items()}
    return tuple(lines[op.name] for op in graph.ops if op.name in lines)


def _line(graph: Graph, group: Group, scores: np.ndarray | None, gone: int) -> GroupLine:
    axes = {(member.tensor, member.axis) for member in group.members}
    weighted = [(op, graph.of(op)[1]) for op in graph.ops if op.kind in WEIGHTED]
    makers = tuple(op.name for op, weight in weighted if (weight.name, WEIGHTED[op.kind]) in axes)
    readers = tuple(op.name for op, weight in weighted if op.kind != "depthwise_conv2d"
                    and (weight.name, len(weight.shape) - 1) in axes)
    summary = None if scores is None else Scores(*map(float, np.quantile(scores, (0, 0.5, 1))))
    tensors = tuple(name for name in graph.tensors if name in group.tensors)
    return GroupLine(group.name, group.channels, makers, readers, tensors, gone, summary)


def _kept(graph: Graph, grouping: Grouping, name: str, reason: str) -> KeptLine:
    if name in graph.producers:
        return KeptLine(name, graph.producers[name].kind, graph.tensors[name].shape[-1], reason)
    channels = next((group.channels for group in grouping.groups if group.name == name), 0)
    return KeptLine(name, "group", channels, reason)
