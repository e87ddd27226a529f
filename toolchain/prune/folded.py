"""Groups of a float graph where they lie in its canonical form, which is what a target runs."""

from collections.abc import Sequence

import numpy as np

from toolchain.ir.graph import Graph
from toolchain.ir.passes import canonical
from toolchain.prune.groups import Group, Member, channel_groups


def folded(graph: Graph, groups: Sequence[Group],
           heads: bool = False) -> tuple[Graph, tuple[Group, ...]]:
    """(the FLOAT graph's CANONICAL form, the same groups in it): what the cost of the ops that run is of.

    Folding leaves the activations that it keeps their names and shapes: by the elements of these, a channel
    of the canonical graph is known to be one of a group's. A group that folding leaves nothing of has no
    members. heads: as the groups were found with
    """
    smaller = canonical(graph, join_parts=False)
    places = {(member.tensor, member.axis): [] for group in groups for member in group.members}
    for number, group in enumerate(groups):
        for member in group.members:
            places[member.tensor, member.axis].append((number, member))
    members: list[list[Member]] = [[] for _ in groups]
    for found in channel_groups(smaller, heads).groups:
        owner = _owner(graph, smaller, found, places)
        for number in np.unique(owner[0][owner[0] >= 0]).tolist():
            for member in found.members:
                mine = owner[0][member.channel] == number
                members[number].append(Member(member.tensor, member.axis, member.index[mine],
                                              owner[1][member.channel[mine]]))
    return smaller, tuple(Group(group.name, group.channels, _joined(parts))
                          for group, parts in zip(groups, members))


def _owner(graph: Graph, smaller: Graph, found: Group, places) -> np.ndarray:
    """(2, channels) of a group of the canonical graph: position of the float graph's group, or -1, and the
    channel in it."""
    owner = np.full((2, found.channels), -1)
    for member in found.members:
        same = (member.tensor in graph.tensors and not smaller.tensors[member.tensor].is_constant
                and graph.tensors[member.tensor].shape == smaller.tensors[member.tensor].shape)
        for number, other in places.get((member.tensor, member.axis), ()) if same else ():
            _, mine, theirs = np.intersect1d(member.index, other.index, return_indices=True)
            owner[:, member.channel[mine]] = np.stack([np.full(len(mine), number), other.channel[theirs]])
    return owner


def _joined(parts: Sequence[Member]) -> tuple[Member, ...]:
    """One member for each axis of each tensor."""
    by_axis: dict[tuple[str, int], list[Member]] = {}
    for part in parts:
        by_axis.setdefault((part.tensor, part.axis), []).append(part)
    return tuple(Member(*place, np.concatenate([part.index for part in found]),
                        np.concatenate([part.channel for part in found]))
                 for place, found in by_axis.items())
