"""Channels that can be scaled between the ops that make them and those that read them, and doing so.

A factor s divides what a channel holds: rows of weights that make it are divided by s, columns that read it
are multiplied by s (Nagel et al. 2019, eq. 7).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.elements import FREE, Elements, joined
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.quantize.homogeneous import absorbs, scales_own_output, scaling_links

PINNED = -1


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that tensors share: they are scaled one by one, but judged together.

    channels: tensor -> for each place on its last axis the channel 0..count - 1, or PINNED
    makers:   ops whose weights, or gamma and beta, divide by the factors
    readers:  ops whose weights multiply by them
    """

    name: str
    count: int
    channels: Mapping[str, np.ndarray]
    makers: tuple[Op, ...]
    readers: tuple[Op, ...]


@dataclass(frozen=True)
class Grouping:
    """groups: in the order of the ops;  pinned: op with weights whose output cannot be scaled -> why."""

    groups: tuple[Group, ...]
    pinned: Mapping[str, str]


def scalable_groups(graph: Graph) -> Grouping:
    """Every group of channels that a factor can be taken out of, and why the others have none."""
    elements, links = Elements(graph), {op.name: scaling_links(graph, op) for op in graph.ops}
    labels, reason, reasons = joined(graph, elements, links)
    free = reason == FREE
    pinned = {}
    for op in (op for op in graph.ops if op.kind in WEIGHTED):
        span = _last_span(graph, elements, op.name)
        if not free[span].any():
            pinned[op.name] = _why(graph, *reasons[reason[span].min()])
    return Grouping(tuple(_groups(graph, elements, np.where(free, labels, PINNED))), pinned)


def _why(graph: Graph, tensor: str, op: Op | None) -> str:
    if op is None:
        return f"{tensor} is an {'output' if tensor in graph.outputs else 'input'} of the network"
    if op.attrs.get("activation") == "relu6":
        return f"{op.name} ({op.kind}) clamps at 6"
    return f"{op.name} ({op.kind}) does not hand a scale on"


def _last_span(graph: Graph, elements: Elements, tensor: str) -> slice:
    return elements.span(tensor, len(graph.tensors[tensor].shape) - 1)


def _groups(graph: Graph, elements: Elements, labels: np.ndarray) -> Iterator[Group]:
    """labels: of each element, PINNED where it has to stay."""
    tensors = [t for t in graph.activations if t.shape and (t.name, 0) in elements.start]
    on = {t.name: labels[_last_span(graph, elements, t.name)] for t in tensors}
    on = {name: channels for name, channels in on.items() if (channels != PINNED).any()}
    home: dict[int, list[str]] = {}
    for name, channels in on.items():
        _join(home, name, np.unique(channels[channels != PINNED]).tolist())
    for names in {id(members): members for members in home.values()}.values():
        yield _group(graph, {name: on[name] for name in names})


def _join(home: dict[int, list[str]], name: str, roots: list[int]) -> None:
    """Add a tensor to the set that holds any of its channels; sets that it connects become one."""
    first, *others = {id(home[root]): home[root] for root in roots if root in home}.values() or [[]]
    first += [name, *(member for members in others for member in members)]
    if others:
        gone = {id(members) for members in others}
        roots += [root for root, members in home.items() if id(members) in gone]
    home.update(dict.fromkeys(roots, first))


def _group(graph: Graph, on: Mapping[str, np.ndarray]) -> Group:
    roots = np.unique(np.concatenate(list(on.values())))
    roots = roots[roots != PINNED]
    local = {name: np.where(labels == PINNED, PINNED, np.searchsorted(roots, labels))
             for name, labels in on.items()}
    makers = tuple(op for op in graph.ops if op.name in on and makes(graph, op))
    readers = tuple(op for op in graph.ops if absorbs(graph, op) and op.inputs[0] in on)
    return Group(makers[0].name, len(roots), local, makers, readers)


def makes(graph: Graph, op: Op) -> bool:
    """Whether the op can divide what it makes by a factor for each channel."""
    return absorbs(graph, op) or scales_own_output(graph, op)


# Weights ----------------------------------------------------------------------------------------------------

def reads(op: Op, weight: Tensor, x: Tensor) -> np.ndarray:
    """For each element of the weight, up to broadcasting, the channel of x that it multiplies."""
    columns = weight.shape[-1]
    if op.kind == "depthwise_conv2d":
        return np.arange(columns) // op.attrs["multiplier"]
    groups = x.shape[-1] // columns
    first = np.arange(weight.shape[0]) // (weight.shape[0] // groups) * columns
    return first.reshape(-1, *[1] * (len(weight.shape) - 1)) + np.arange(columns)


def rescaled(graph: Graph, group: Group, factors: np.ndarray) -> Graph:
    """The same function with the group's channels divided by `factors`, (count,) and above 0."""
    changed: dict[str, Tensor] = {}

    def scale(tensor: Tensor, by: np.ndarray) -> None:
        data = changed.get(tensor.name, tensor).data.astype(np.float64) * by
        changed[tensor.name] = replace(tensor, data=data.astype(np.float32))

    for op in group.makers:
        each = 1 / on_axis(factors, group.channels[op.name])
        along = [1] * len(graph.of(op)[1].shape)
        along[WEIGHTED.get(op.kind, -1)] = -1
        scale(graph.of(op)[1], each.reshape(along))
        scale(graph.of(op)[2], each)
    for op in group.readers:
        x, weight, _ = graph.of(op)
        scale(weight, on_axis(factors, group.channels[x.name])[reads(op, weight, x)])
    return graph.with_tensors(*changed.values())


def on_axis(factors: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """The factor of each place on an axis: 1 where it is pinned."""
    return np.where(channels == PINNED, 1.0, factors[channels])


def peaks(values: np.ndarray, channels: np.ndarray, count: int) -> np.ndarray:
    """(count,) largest of the values that belong to each channel, 0 without any."""
    largest = np.zeros(count)
    there = channels != PINNED
    np.maximum.at(largest, channels[there], values[there])
    return largest


def row_peaks(graph: Graph, group: Group) -> np.ndarray:
    """r1 of Nagel et al. 2019, eq. 8: largest magnitude of the weights that make each channel."""
    found = np.zeros(group.count)
    for op in group.makers:
        weight, channels = graph.of(op)[1].data, group.channels[op.name]
        axis = WEIGHTED.get(op.kind, weight.ndim - 1) % weight.ndim
        rows = np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != axis))
        found = np.maximum(found, peaks(rows, channels, group.count))
    return found


def column_peaks(graph: Graph, group: Group) -> np.ndarray:
    """r2: largest magnitude of the weights that read each channel."""
    found = np.zeros(group.count)
    for op in group.readers:
        x, weight, _ = graph.of(op)
        channels = np.broadcast_to(group.channels[x.name][reads(op, weight, x)], weight.shape)
        found = np.maximum(found, peaks(np.abs(weight.data), channels, group.count))
    return found
