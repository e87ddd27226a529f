"""Channels that hold the same numbers whatever comes in, and what is to be done so that they can go.

Training leaves such channels behind: weights that are all zero, or a gamma of zero. What they hold, a bias or
a beta sent through norm and activation, is added to the bias of what reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.prune.groups import Group, Member
from toolchain.prune.masks import ending_axes
from toolchain.runtime.kernels_float import FLOAT

Values = dict[str, np.ndarray]
"""Tensor -> what it holds for every input, in its own shape; NaN where that is not known."""
FOLDED = ("conv2d", "fully_connected")
"""Kinds whose bias takes in what a constant channel adds."""
SPREADS_NAN = frozenset("""batch_matmul add sub div minimum maximum relu relu6 leaky_relu prelu elu gelu
    hard_swish softplus logistic tanh abs neg exp log sqrt rsqrt softmax log_softmax average_pool2d max_pool2d
    mean sum reduce_max reduce_min resize_nearest resize_bilinear depth_to_space space_to_depth pad mirror_pad
    concat slice gather tile reshape transpose""".split())
"""Kinds whose kernel gives NaN wherever it depends on one."""


Held = dict[tuple[str, int], np.ndarray]
"""(tensor, axis) that is read -> what the elements of one channel hold there, in the member's order."""


def constant_channels(graph: Graph, groups: Sequence[Group]) -> list[dict[int, Held]]:
    """Per group, the channels that can go with nothing changed -> the constants that they hold.

    So may a channel that nobody gives a weight, or that holds 0 wherever it is read; one that holds another
    number may where all that read it are fully connected or convolutions without padding, with a bias of
    their own. With padding, an image reads 0 beyond its border and the number within: no bias is right for
    both, and the channel is not among these. Where all channels of a group are, one has to stay nevertheless.
    """
    known = known_values(graph)
    axes = {(member.tensor, member.axis) for group in groups for member in group.members}
    ends = [(op, ending_axes(graph, op, axes)) for op in graph.ops]
    return [_of_group(graph, group, known, ends) for group in groups]


def _of_group(graph: Graph, group: Group, known: Values, ends: Sequence[tuple[Op, list]]) -> dict[int, Held]:
    members = {(member.tensor, member.axis): member for member in group.members}
    goes, held = np.ones(group.channels, bool), {}
    for op, end in ((op, end) for op, found in ends for end in found if end in members):
        member, values = members[end], _held(known[end[0]], members[end])
        stays = np.bincount(member.channel, ~_goes(graph, op, member, values), group.channels) > 0
        goes &= ~stays | _unweighed(graph, op, members, group.channels)
        held[end] = member.channel, values
    return {channel: {end: values[of == channel] for end, (of, values) in held.items()}
            for channel in np.flatnonzero(goes).tolist()}


def fold_constants(graph: Graph, groups: Sequence[Group], gone: Mapping[int, np.ndarray]) -> Graph:
    """The graph whose biases hold what the constant channels of `gone` add: without these channels it
    computes what this graph does with them.

    gone: position of a group -> its channels that go; what `constant_channels` does not name adds nothing
    """
    biases: dict[str, np.ndarray] = {}
    for number, of_group in enumerate(constant_channels(graph, groups)):
        going = {int(channel): of_group[channel] for channel in gone.get(number, ()) if channel in of_group}
        for member in groups[number].members if going else ():
            along = np.zeros(graph.tensors[member.tensor].shape[member.axis])
            for channel, held in going.items():
                values = np.nan_to_num(held.get((member.tensor, member.axis), 0))
                along[member.index[member.channel == channel]] = values
            for op in _readers(graph, member) if along.any() else ():
                bias = graph.of(op)[2]
                biases[bias.name] = biases.get(bias.name, bias.data) + _added(graph, op, along)
    return graph.with_tensors(*(replace(graph.tensors[name], data=data.astype(np.float32))
                                for name, data in biases.items()))


def _readers(graph: Graph, member: Member) -> list[Op]:
    """Ops in whose sums the member's channels end."""
    end = member.tensor, member.axis
    return [op for op in graph.consumers[member.tensor]
            if op.kind in FOLDED and op.inputs[0] == member.tensor and end in ending_axes(graph, op)]


def _added(graph: Graph, op: Op, along: np.ndarray) -> np.ndarray:
    """(rows,) what the op adds up where its input holds `along` on its last axis, everywhere."""
    weight = graph.of(op)[1].data.astype(np.float64)
    taps = weight.reshape(len(weight), -1, weight.shape[-1]).sum(axis=1)
    parts = along.reshape(-1, taps.shape[1])
    group = np.arange(len(taps)) // (len(taps) // len(parts))
    return (taps * parts[group]).sum(axis=1)


def _held(values: np.ndarray, member: Member) -> np.ndarray:
    """What each of the member's elements holds, everywhere alike; NaN where it is not known or not alike."""
    rows = np.moveaxis(values, member.axis, 0).reshape(values.shape[member.axis], -1)[member.index]
    return np.where((rows == rows[:, :1]).all(axis=1), rows[:, 0], np.nan)


def _goes(graph: Graph, op: Op, member: Member, values: np.ndarray) -> np.ndarray:
    """Whether elements that hold `values` where the op reads them can go: its bias takes in what is not 0."""
    if op.kind not in FOLDED or op.inputs[0] != member.tensor or any(op.attrs.get("pads", ())):
        return values == 0
    _, weight, bias = graph.of(op)
    own = weight.is_constant and bias.is_constant and graph.consumers[bias.name] == (op,)
    return np.isfinite(values) if own and bias.name not in graph.outputs else values == 0


def _unweighed(graph: Graph, op: Op, members: Mapping[tuple[str, int], Member], channels: int) -> np.ndarray:
    """(channels,) whether all weights are 0 that the op gives a channel."""
    weight = graph.of(op)[1] if op.kind in WEIGHTED else None
    if weight is None or not weight.is_constant or (weight.name, len(weight.shape) - 1) not in members:
        return np.zeros(channels, bool)
    member = members[weight.name, len(weight.shape) - 1]
    used = weight.data.any(axis=tuple(range(weight.data.ndim - 1)))[member.index]
    return np.bincount(member.channel, used, channels) == 0


# What is known ----------------------------------------------------------------------------------------------

def known_values(graph: Graph) -> Values:
    """What every float tensor holds whatever comes in."""
    known = {t.name: t.data if t.is_constant else _unknown(t) for t in graph.tensors.values()}
    for op in graph.ops:
        if graph.tensors[op.name].dtype == "float32":
            with np.errstate(all="ignore"):
                known[op.name] = _computed(graph, op, known)
    return known


def _unknown(tensor: Tensor) -> np.ndarray:
    return np.broadcast_to(np.float32(np.nan), tensor.shape)


def _computed(graph: Graph, op: Op, known: Values) -> np.ndarray:
    """What the op makes of what is known."""
    output, values = graph.tensors[op.name], [known[name] for name in op.inputs]
    if op.kind in SCALED:
        return SCALED[op.kind](op, output, values)
    computed = [t for t in graph.of(op) if not t.is_constant]
    told = not computed or any(np.isfinite(known[t.name]).any() for t in computed)
    if op.kind in SPREADS_NAN and told and all(t.dtype == "float32" for t in computed):
        return FLOAT[op.kind](op, *values).astype(np.float32)
    return _unknown(output)


def _sums(op: Op, output: Tensor, values: Sequence[np.ndarray]) -> np.ndarray:
    """A sum is known where everything that is not has weight 0."""
    x, weight, bias = values
    unknown, rows = np.isnan(x), np.moveaxis(weight, WEIGHTED[op.kind], 0)
    some = not unknown.all() or not rows.reshape(len(rows), -1).any(axis=1).all()
    if not some or np.isnan(weight).any() or np.isnan(bias).any():
        return _unknown(output)
    counted = replace(op, attrs={**op.attrs, "activation": None})
    hidden = FLOAT[op.kind](counted, unknown.astype(np.float32), np.abs(weight), np.zeros_like(bias))
    return np.where(hidden > 0, np.float32(np.nan), FLOAT[op.kind](op, np.nan_to_num(x), weight, bias))


def _batch_norm(op: Op, output: Tensor, values: Sequence[np.ndarray]) -> np.ndarray:
    """beta where gamma is 0."""
    x, gamma, beta = values[:3]
    normed = FLOAT["batch_norm"](op, *values) if np.isfinite(x).any() else x
    return np.where(gamma == 0, beta, normed).astype(np.float32)


def _layer_norm(op: Op, output: Tensor, values: Sequence[np.ndarray]) -> np.ndarray:
    """beta where gamma is 0: statistics of what is not known are not known."""
    gamma, beta = (np.broadcast_to(each, output.shape) for each in values[1:])
    return np.where(gamma == 0, beta, np.float32(np.nan))


def _product(op: Op, output: Tensor, values: Sequence[np.ndarray]) -> np.ndarray:
    """0 where one factor is, whatever the other."""
    sure = (np.where(other == 0, np.float32(0), each) for each, other in zip(values, reversed(values)))
    return FLOAT["mul"](op, *np.broadcast_arrays(*sure)).astype(np.float32)


SCALED: Mapping[str, Callable[[Op, Tensor, Sequence[np.ndarray]], np.ndarray]] = {
    **dict.fromkeys(WEIGHTED, _sums), "batch_norm": _batch_norm, "layer_norm": _layer_norm, "mul": _product}
"""Kinds that may multiply by 0 -> what they make of what is known: more than their kernel makes of NaN."""
