"""A graph in full size whose channels can be scaled where their consumers read them: at 0 they are cut."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.elements import choices_of
from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.ops import make
from toolchain.prune.groups import Group, Member

Found = dict[tuple[str, int], list[tuple[int, Member]]]
"""(tensor, axis) -> the groups that lie there, by position, and how."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where a group's channels are read: by the elements of a constant that multiplies them.

    mask: name of the constant; its element member.index[k] scales channel member.channel[k]
    """

    group: int
    mask: str
    member: Member


@dataclass(frozen=True, eq=False)
class MaskedGraph:
    """graph: with a "mul" by a mask, all ones, before every op that ends a channel
    places: of every group, by its position
    """

    graph: Graph
    places: tuple[Place, ...]

    def at(self, scales: Sequence[np.ndarray]) -> Graph:
        """The graph with these factors of every group's channels."""
        masks: dict[str, np.ndarray] = {}
        for place in self.places:
            values = masks.setdefault(place.mask, self.graph.tensors[place.mask].data.copy())
            values.reshape(-1)[place.member.index] = scales[place.group][place.member.channel]
        return self.graph.with_tensors(*(replace(self.graph.tensors[name], data=data)
                                         for name, data in masks.items()))


def with_masks(graph: Graph, groups: Sequence[Group]) -> MaskedGraph:
    """The graph that reads every group's channels through masks; computes the same."""
    found: Found = {}
    for number, group in enumerate(groups):
        for member in group.members:
            found.setdefault((member.tensor, member.axis), []).append((number, member))
    ops, tensors, places = [], {}, []
    for op in graph.ops:
        inputs = {name: name for name in op.inputs}
        for name, axis in ending_axes(graph, op, found):
            masked = f"{inputs[name]}:masked{axis}"
            if masked not in tensors:
                ops.append(_mask(replace(graph.tensors[name], name=inputs[name]), axis, masked, tensors))
                places += [Place(number, f"{masked}:mask", member) for number, member in found[name, axis]]
            inputs[name] = masked
        ops.append(replace(op, inputs=tuple(inputs[name] for name in op.inputs)))
    return MaskedGraph(graph.with_tensors(*tensors.values()).with_ops(ops), tuple(places))


def ending_axes(graph: Graph, op: Op,
                axes: Container[tuple[str, int]] | None = None) -> list[tuple[str, int]]:
    """Which (tensor, axis) the op reads channels of that do not go on into its output.

    axes: those that have channels; all, where it is not given
    Weights need no mask where what they weigh has one, or what they make. Slices and gathers read nothing
    of what they leave out.
    """
    if op.kind in ("slice", "gather"):
        return []
    links = [link for choice in choices_of(graph, op) for reading in choice for link in reading]
    made = {(slot.tensor, slot.axis) for link in links if any(slot.tensor == op.name for slot in link)
            for slot in link}
    ends = []
    for link in links:
        read = [slot for slot in link if not graph.tensors[slot.tensor].is_constant] or [
            slot for slot in link[:1] if (slot.tensor, slot.axis) not in made]
        if all(slot.tensor != op.name and (axes is None or (slot.tensor, slot.axis) in axes)
               for slot in link):
            ends += [(slot.tensor, slot.axis) for slot in read]
    return list(dict.fromkeys(ends))


def _mask(tensor: Tensor, axis: int, name: str, tensors: dict[str, Tensor]) -> Op:
    """tensor * ones, its parts added to `tensors`."""
    shape = [1] * len(tensor.shape)
    shape[axis] = tensor.shape[axis]
    tensors[f"{name}:mask"] = constant(f"{name}:mask", np.ones(shape, np.float32))
    tensors[name] = replace(tensor, name=name, data=None)
    return make("mul", (tensor.name, f"{name}:mask"), name)


def scales_of(groups: Sequence[Group], gone: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Per group (channels,) float32: 0 for the channels of `gone` (by the group's position), else 1."""
    scales = [np.ones(group.channels, np.float32) for group in groups]
    for number, channels in gone.items():
        scales[number][channels] = 0
    return scales
