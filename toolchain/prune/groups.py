"""Which channels must go together, from the op table's channel rules alone.

Every coordinate along every axis of every tensor is an element. An op's links (`ops.OPS[kind].channels`) join
elements that stand for the same channel; a connected component is one channel with everything that goes with
it: rows of the weights that make it, columns of those that read it, batch norm, residual partners, parts of a
concatenation.

A component may be cut if every op that touches one of its elements links that element, and none of them is in
an input or output of the graph. Components that lie on the same set of (tensor, axis), with as many elements
on each, make a Group: how many channels go says how much smaller every tensor becomes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.elements import FREE, Elements, joined
from toolchain.ir.graph import Graph, Op, unique_name
from toolchain.ir.ops import OPS
from toolchain.prune.readings import chosen_links


@dataclass(frozen=True, eq=False)
class Member:
    """Where a group's channels lie along one axis of one tensor: element index[k] belongs to channel[k]."""

    tensor: str
    axis: int
    index: np.ndarray
    channel: np.ndarray


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that can go one by one.

    name:     of the first op that touches them, with a number where that has more groups
    channels: how many, at least two: one always stays
    """

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


def channel_groups(graph: Graph, heads: bool = False) -> Grouping:
    """Every group of channels that can be cut, and why the others cannot.

    heads: whole heads of attention and whole groups of convolutions, where the same of each could go as well
    """
    elements = Elements(graph)
    labels, reason, reasons = joined(graph, elements, chosen_links(graph, elements, heads))
    groups = _groups(graph, elements, labels, reason == FREE)
    in_group = {(member.tensor, member.axis, index) for group in groups for member in group.members
                if member.tensor in graph.producers for index in member.index.tolist()}
    fixed = {}
    for op in (op for op in graph.ops if "weight" in OPS[op.kind].inputs):
        axis = len(graph.tensors[op.name].shape) - 1
        first = reason[elements.span(op.name, axis)].min()
        if first != FREE:
            fixed[op.name] = _why(graph, *reasons[first])
        elif any((op.name, axis, i) not in in_group for i in range(graph.tensors[op.name].shape[axis])):
            fixed[op.name] = "its channels can only go all together"
    return Grouping(groups, fixed)


def _why(graph: Graph, tensor: str, op: Op | None) -> str:
    """A reason of `joined` in words."""
    if op is None:
        return f"{tensor} is an {'output' if tensor in graph.outputs else 'input'} of the network"
    if graph.tensors[tensor].shape[-1:] == (1,):
        return f"{tensor} has one channel"
    because = NEEDS.get(op.kind)
    return f"{op.name} ({op.kind}) needs all channels of {tensor}{because and f': {because}' or ''}"


NEEDS: Mapping[str, str] = {
    "softmax": "they compete", "log_softmax": "they compete",
    "layer_norm": "they are normalized by what all of them are",
    "mean": "it is taken over them", "reduce_max": "it is taken over them",
    "reduce_min": "it is taken over them",
    "argmax": "it counts along them", "gather": "its indices count along them",
    "slice": "it takes one of several", "mirror_pad": "it repeats those at the border",
    "reshape": "it mixes them with other axes",
    "conv2d": "it slides along them", "depthwise_conv2d": "it slides along them",
    "transpose_conv2d": "it slides along them", "average_pool2d": "it slides along them",
    "max_pool2d": "it slides along them", "resize_nearest": "it slides along them",
    "resize_bilinear": "it slides along them", "depth_to_space": "they are places",
    "space_to_depth": "they are places"}
"""Kind of op -> why an axis that it does not link must stay."""


def _groups(graph: Graph, elements: Elements, labels: np.ndarray, free: np.ndarray) -> tuple[Group, ...]:
    """Components that may be cut, gathered by the axes that they lie on."""
    element = np.flatnonzero(free)
    axis = elements.axis_id(element)
    pairs, counts = np.unique(np.stack([labels[element], axis]), axis=1, return_counts=True)
    roots, first = np.unique(pairs[0], return_index=True)
    by_signature: dict[bytes, list[int]] = {}
    for root, lies in zip(roots.tolist(), np.split(np.stack([pairs[1], counts], axis=1), first[1:])):
        by_signature.setdefault(lies.tobytes(), []).append(root)
    order = np.argsort(labels[element], kind="stable")
    element, axis, label = element[order], axis[order], labels[element][order]
    groups = []
    for channels in map(np.array, (roots for roots in by_signature.values() if len(roots) > 1)):
        bounds = np.searchsorted(label, channels), np.searchsorted(label, channels, side="right")
        sizes = bounds[1] - bounds[0]
        where = np.repeat(bounds[0] - np.append(0, np.cumsum(sizes)[:-1]), sizes) + np.arange(sizes.sum())
        channel = np.repeat(np.arange(len(channels)), sizes)
        groups.append(_group(graph, elements, element[where], axis[where], channel, len(channels)))
    made = {op.name: position for position, op in enumerate(graph.ops)}
    return _told_apart(graph, sorted(groups, key=lambda group: made[group.name]))


def _told_apart(graph: Graph, groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups with names of their own: the first one of an op keeps its name."""
    named: dict[str, Group] = {}
    for group in groups:
        taken = graph.producers if group.name in named else {}
        name = unique_name(group.name, named, taken)
        named[name] = replace(group, name=name)
    return tuple(named.values())


def _group(graph: Graph, elements: Elements, element, axis, channel, channels: int) -> Group:
    members = []
    for axis_id in np.unique(axis).tolist():
        on = axis == axis_id
        tensor, number = elements.axes[axis_id]
        members.append(Member(tensor, number, element[on] - elements.starts[axis_id], channel[on]))
    tensors = {member.tensor for member in members}
    name = next(op.name for op in graph.ops if tensors & {*op.inputs, *op.outputs})
    return Group(name, channels, tuple(members))
