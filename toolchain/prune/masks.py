"""A graph in full size whose channels can be scaled where their consumers read them: at 0 they are cut."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.elements import links_of
from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.ops import make
from toolchain.prune.groups import Group, Member


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
    found = {(member.tensor, member.axis): [] for group in groups for member in group.members}
    for number, group in enumerate(groups):
        for member in group.members:
            found[member.tensor, member.axis].append((number, member))
    ops, tensors, places = [], {}, []
    for op in graph.ops:
        inputs = list(op.inputs)
        for position, name in enumerate(op.inputs):
            for axis in (axis for axis in ending_axes(graph, op, name) if (name, axis) in found):
                inputs[position] = f"{name}:masked{axis}"
                if inputs[position] not in tensors:
                    ops.append(_mask(graph.tensors[name], axis, tensors))
                    places += [Place(number, f"{inputs[position]}:mask", member)
                               for number, member in found[name, axis]]
        ops.append(replace(op, inputs=tuple(inputs)))
    return MaskedGraph(graph.with_tensors(*tensors.values()).with_ops(ops), tuple(places))


def ending_axes(graph: Graph, op: Op, name: str) -> list[int]:
    """Axes of an activation whose channels do not go on into the op's output."""
    if graph.tensors[name].is_constant:
        return []
    ends = [link for link in links_of(graph, op) if not any(slot.tensor in op.outputs for slot in link)]
    return [slot.axis for link in ends for slot in link if slot.tensor == name]


def _mask(tensor: Tensor, axis: int, tensors: dict[str, Tensor]) -> Op:
    """tensor * ones, its parts added to `tensors`."""
    name = f"{tensor.name}:masked{axis}"
    shape = [1] * len(tensor.shape)
    shape[axis] = tensor.shape[axis]
    tensors[f"{name}:mask"] = constant(f"{name}:mask", np.ones(shape, np.float32))
    tensors[name] = replace(tensor, name=name)
    return make("mul", (tensor.name, f"{name}:mask"), name)


def scales_of(groups: Sequence[Group], gone: Mapping[int, np.ndarray]) -> list[np.ndarray]:
    """Per group (channels,) float32: 0 for the channels of `gone` (by the group's position), else 1."""
    scales = [np.ones(group.channels, np.float32) for group in groups]
    for number, channels in gone.items():
        scales[number][channels] = 0
    return scales
