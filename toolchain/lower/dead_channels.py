"""Take channels out of an int8 network that nothing depends on; its outputs stay the same bit for bit.

Training with weight decay leaves such channels behind: those with one code whatever comes in (all weights 0
and a bias), whose part of the sums that read them moves into biases; and those that nobody gives a weight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir import channels
from toolchain.ir.check import WEIGHTED, asymmetric
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.loops import ENTRIES, EXITS
from toolchain.ir.ops import OPS, graph_macs
from toolchain.ir.quant import clamp_range, requantize
from toolchain.prune.cut import Kept, kept_elements, sliced
from toolchain.prune.groups import Group, channel_groups
from toolchain.prune.masks import ending_axes
from toolchain.runtime import reference
from toolchain.runtime.multipliers import weighted

CODES = (-128, 127)
PASSING = (channels.aligned, channels.window, channels.reduction, channels.total)
"""Rules of kinds whose last axis knows only itself, where it is not reduced."""
READERS = ("conv2d", "fully_connected")
"""Kinds whose sums a channel may end in."""


@dataclass(frozen=True, eq=False)
class Known:
    """Of a tensor's last axis: where one code is at all places, and that code. (channels,)"""

    mask: np.ndarray
    code: np.ndarray


def without_dead_channels(graph: Graph) -> Graph:
    """The smaller network; the same one where there is nothing to take out.

    Names stay, shapes do not. Channels of inputs and outputs stay, and at least one wherever there are any.
    What is taken out leaves others without a reader: it is looked again until nothing is found.
    """
    while (smaller := _once(graph)) is not graph:
        graph = smaller
    return graph


def told(graph: Graph, smaller: Graph) -> str:
    """What was taken out of a network, in words."""
    layers = [op.name for op in graph.ops if op.kind in WEIGHTED]
    before, after = (sum(each.tensors[name].shape[-1] for name in layers) for each in (graph, smaller))
    return (f"{before - after:,} of {before:,} channels of its layers change no output and are left out: "
            f"{graph_macs(smaller):,} of {graph_macs(graph):,} multiply-accumulates and "
            f"{smaller.parameters:,} of {graph.parameters:,} parameters stay")


def _once(graph: Graph) -> Graph:
    known = known_channels(graph)
    cuts = [(group, gone) for group in channel_groups(graph).groups
            if len(gone := _dead(graph, group, known))]
    kept = kept_elements(graph, cuts)
    biases = [_folded(graph, op, known[op.inputs[0]], kept) for op in _readers(graph, kept)]
    if not cuts or None in biases:
        return graph
    return _with_scales(sliced(graph.with_tensors(*biases), kept), kept)


def known_channels(graph: Graph) -> dict[str, Known]:
    """Activation -> its channels of one code; all int8 activations."""
    known: dict[str, Known] = {}
    for tensor in graph.activations:
        if tensor.dtype == "int8" and tensor.shape:
            nothing = np.zeros(tensor.shape[-1], bool)
            known[tensor.name] = Known(nothing, nothing.astype(np.int64))
    for op in graph.ops:
        activations = [t.name for t in graph.of(op) if not t.is_constant]
        if {op.name, *activations} <= set(known):
            found = _known(graph, op, [known[name] for name in activations], activations)
            known[op.name] = found or known[op.name]
    return known


def _known(graph: Graph, op: Op, of_inputs: Sequence[Known], inputs: Sequence[str]) -> Known | None:
    if op.kind in WEIGHTED:
        return _known_sums(graph, op, of_inputs[0]) if len(inputs) == 1 else None
    if op.kind in ENTRIES | EXITS or not any(each.mask.any() for each in of_inputs):
        return None
    if op.kind == "reshape":
        return _known_reshaped(graph, op, of_inputs[0])
    if OPS[op.kind].channels in PASSING:
        return _known_moved(graph, op, dict(zip(inputs, of_inputs, strict=True)))
    return None


def _known_sums(graph: Graph, op: Op, of_x: Known) -> Known | None:
    """From the least and the largest sum. A tap on padding adds nothing."""
    x, weight, bias = graph.of(op)
    out, pads = graph.tensors[op.name].quant, any(op.attrs.get("pads", ()))
    if op.kind == "transpose_conv2d" or asymmetric(graph, op):
        return None
    codes = [np.where(of_x.mask, of_x.code, end) - int(x.quant.zero_point) for end in CODES]
    if pads:
        codes = [np.minimum(codes[0], 0), np.maximum(codes[1], 0)]
    least, largest = _bounds(_rows(op, weight.data), *codes)
    multiplier, shift = weighted(x.quant, weight.quant, out)
    ends = [bias.data.astype(np.int64) + end for end in (least, largest)]
    first, last = (np.clip(requantize(end, multiplier, shift) + int(out.zero_point),
                           *clamp_range(op.attrs["activation"], out)) for end in ends)
    wraps = np.maximum(*map(np.abs, ends)) << np.maximum(shift, 0) >= 2**31
    return Known((first == last) & ~wraps, first)


def _rows(op: Op, weight: np.ndarray) -> np.ndarray:
    """(outputs, taps, input channels of an output)"""
    if op.kind == "depthwise_conv2d":
        return weight.reshape(-1, weight.shape[-1]).T[:, :, None].astype(np.int64)
    return weight.reshape(len(weight), -1, weight.shape[-1]).astype(np.int64)


def _bounds(rows: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and largest sum of each output. low, high: of each input channel's centred codes"""
    groups = len(low) // rows.shape[2]
    of_output = np.arange(len(rows)) // (len(rows) // groups)
    low, high = (each.reshape(groups, 1, -1)[of_output] for each in (low, high))
    ends = rows * low, rows * high
    return np.minimum(*ends).sum(axis=(1, 2)), np.maximum(*ends).sum(axis=(1, 2))


def _known_reshaped(graph: Graph, op: Op, of_x: Known) -> Known:
    x, y = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    mask, code = (np.broadcast_to(each, x).reshape(-1, y[-1]) for each in (of_x.mask, of_x.code))
    return Known(mask.all(axis=0) & (code == code[0]).all(axis=0), code[0])


def _known_moved(graph: Graph, op: Op, known: Mapping[str, Known]) -> Known | None:
    """Of ops whose output channel knows only the same channel of what they read: by trying it."""
    y, rank = graph.tensors[op.name].shape, len(graph.of(op)[0].shape)
    if rank - 1 in op.attrs.get("axes", ()) or any(graph.tensors[name].shape[-1] != y[-1] for name in known):
        return None
    feeds = {name: np.broadcast_to(each.code, graph.tensors[name].shape).astype(np.int8)
             for name, each in known.items()}
    alone = replace(graph, ops=(op,), inputs=tuple(known), outputs=(op.name,))
    code = reference.run_one(alone, feeds)[op.name].reshape(-1, y[-1]).astype(np.int64)
    mask = np.logical_and.reduce([each.mask for each in known.values()])
    return Known(mask & (code == code[0]).all(axis=0), code[0])


def _dead(graph: Graph, group: Group, known: Mapping[str, Known]) -> np.ndarray:
    """Which of the group's channels may go."""
    dead = np.ones(group.channels, bool)
    for member in group.members:
        tensor = graph.tensors[member.tensor]
        if tensor.is_constant:
            dead &= all(op.kind not in WEIGHTED or op.inputs[0] != tensor.name
                        for op in graph.consumers[tensor.name])  # a sum of constants ends it
        else:
            last = member.axis == len(tensor.shape) - 1 and tensor.name in known
            stays = ~_unread(graph, tensor, known[tensor.name])[member.index] if last else True
            np.logical_and.at(dead, member.channel, ~np.broadcast_to(stays, member.channel.shape))
    return np.flatnonzero(dead)[int(dead.all()):]


def _unread(graph: Graph, tensor: Tensor, known: Known) -> np.ndarray:
    """Where no sum needs the channel: it has no weight, or a code that is known and the same at every tap."""
    free = np.ones(tensor.shape[-1], bool)
    last = (tensor.name, len(tensor.shape) - 1)
    for op in graph.consumers[tensor.name]:
        if last in ending_axes(graph, op):
            weight = graph.of(op)[1] if op.kind in READERS else None
            if weight is None or weight.shape[-1] != len(free) or asymmetric(graph, op):
                return np.zeros_like(free)
            padded = any(op.attrs.get("pads", ())) & (known.code != tensor.quant.zero_point)
            free &= ~weight.data.any(axis=tuple(range(weight.data.ndim - 1))) | known.mask & ~padded
    return free


def _readers(graph: Graph, kept: Kept) -> Iterator[Op]:
    """Ops in whose sums channels end that go."""
    for op in graph.ops:
        if op.kind in READERS and (op.inputs[0], len(graph.of(op)[0].shape) - 1) in kept:
            yield op


def _folded(graph: Graph, op: Op, known: Known, kept: Kept) -> Tensor | None:
    """The op's bias with what the channels that go add to it; None where it does not fit or is shared."""
    x, weight, bias = graph.of(op)
    gone = ~kept[x.name, len(x.shape) - 1]
    centred = np.where(gone, known.code - int(x.quant.zero_point), 0)
    total = bias.data.astype(np.int64) + _rows(op, weight.data).sum(axis=1) @ centred
    if len(graph.consumers[bias.name]) > 1 or (np.abs(total) >= 2**31).any():
        return None
    return replace(bias, data=total.astype(bias.data.dtype))


def _with_scales(graph: Graph, kept: Kept) -> Graph:
    """Scales per channel, of the channels that stay."""
    changed = []
    for tensor in graph.constants:
        quant = tensor.quant
        if quant is not None and quant.axis is not None and (tensor.name, quant.axis) in kept:
            stays = kept[tensor.name, quant.axis]
            changed.append(replace(tensor, quant=replace(
                quant, scale=quant.scale[stays], zero_point=quant.zero_point[stays])))
    return graph.with_tensors(*changed)
