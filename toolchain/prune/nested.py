"""A network whose narrower ones are its first channels: most important first, then cut.

Cai et al. 2020, "Once-for-All", elastic width: channels are sorted by importance, so that a slice keeps those
that matter most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.errors import BadInput, SelfCheckFailed
from toolchain.ir.check import check
from toolchain.ir.graph import Graph, Tensor
from toolchain.load.selfcheck import noise, share_of_range
from toolchain.prune.cut import Kept, kept_elements, sliced
from toolchain.prune.groups import Group, Member
from toolchain.prune.self_check import TOLERANCE
from toolchain.runtime import reference


@dataclass(frozen=True, eq=False)
class Narrow:
    """A slice of a network. kept: (tensor, axis) -> which elements it has;  graph: of the wide one's names"""

    graph: Graph
    kept: Kept


def ordered(graph: Graph, groups: Sequence[Group], scores: Sequence[np.ndarray]) -> Graph:
    """The FLOAT graph, which computes what it did, with each group's channels in falling order of scores.

    Raises SelfCheckFailed where it would not.
    """
    moves: dict[tuple[str, int], np.ndarray] = {}
    for group, values in zip(groups, scores, strict=True):
        order = np.argsort(-values, kind="stable")
        for member in group.members:
            size = graph.tensors[member.tensor].shape[member.axis]
            moved = moves.setdefault((member.tensor, member.axis), np.arange(size))
            moved[_places(member)] = _places(member)[order]
    indices = {op.inputs[1] for op in graph.ops if op.kind == "gather"}  # what they pick moves with them
    found = graph.with_tensors(*(_moved(tensor, moves) for tensor in graph.constants
                                 if tensor.name not in indices))
    feeds = noise(graph)
    before, after = (reference.run(each, feeds) for each in (graph, found))
    if worst := [name for name in graph.outputs if share_of_range(after[name], before[name]) > TOLERANCE]:
        raise SelfCheckFailed(f"{graph.name}: with its channels in another order, {', '.join(worst)} is not "
                              f"what it was: a group of channels has an order of its own. [widths] keep can "
                              f"leave its ops out")
    return found


def _places(member: Member) -> np.ndarray:
    """(channels, elements of each): where they lie."""
    by_channel = np.argsort(member.channel, kind="stable")
    return member.index[by_channel].reshape(member.channel.max() + 1, -1)


def _moved(tensor: Tensor, moves: dict[tuple[str, int], np.ndarray]) -> Tensor:
    data = tensor.data
    for axis in range(data.ndim):
        if (tensor.name, axis) in moves:
            data = np.take(data, moves[tensor.name, axis], axis)
    return replace(tensor, data=np.asarray(data, order="C"))


def narrow(graph: Graph, groups: Sequence[Group], share: float, steps: Sequence[int]) -> Narrow:
    """The graph with the first channels of each group, about this share of them, a multiple of its step.

    Raises BadInput where nothing would go.
    """
    cuts = [(group, np.arange(_count(group.channels, share, step), group.channels))
            for group, step in zip(groups, steps, strict=True)]
    if not any(len(gone) for _, gone in cuts):
        raise BadInput(f"{graph.name}: [widths] shares = {share:g} keeps all channels: its groups have "
                       f"{', '.join(str(group.channels) for group in groups) or 'none'} in steps of "
                       f"{', '.join(map(str, steps)) or 'none'}; lower the share")
    kept = kept_elements(graph, cuts)
    return Narrow(check(sliced(graph, kept), "FLOAT"), kept)


def _count(channels: int, share: float, step: int) -> int:
    """At least one step, at most all."""
    return min(channels, max(step, round(share * channels / step) * step))
