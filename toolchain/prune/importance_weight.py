"""How much each channel of a group matters, from its weights alone.

A channel's weights are all that go with it: rows of the weights that make it and columns of those that read
it (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", section 3.3). One that lies on the channel
along two axes counts on both.
"""

from collections.abc import Sequence

import numpy as np

from toolchain.errors import BadInput
from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.prune.groups import Group, Member


def l1(graph: Graph, groups: Sequence[Group], *_) -> list[np.ndarray]:
    """Sum of |w| (Li et al. 2017, "Pruning Filters for Efficient ConvNets")."""
    return [_summed(graph, group, np.abs) for group in groups]


def l2(graph: Graph, groups: Sequence[Group], *_) -> list[np.ndarray]:
    """Square root of the sum of w^2 (ibid.)."""
    return [np.sqrt(_summed(graph, group, np.square)) for group in groups]


def lamp(graph: Graph, groups: Sequence[Group], *_) -> list[np.ndarray]:
    """|w_i|^2 / sum of those |w_j|^2 of the group that are not smaller, in (0, 1]: the largest has 1.

    Lee et al. 2021, "Layer-adaptive Sparsity for the Magnitude-based Pruning", of channels in place of
    weights.
    """
    return [_share_of_larger(_summed(graph, group, np.square)) for group in groups]


def geometric_median(graph: Graph, groups: Sequence[Group], *_) -> list[np.ndarray]:
    """Sum over j of |w_i - w_j|: a channel near the median of all is one that the others can replace.

    He et al. 2019, "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration".
    """
    return [_distances(graph, group).sum(1) for group in groups]


def batch_norm(graph: Graph, groups: Sequence[Group], *_) -> list[np.ndarray]:
    """Mean |gamma| of the channel's batch norms (Liu et al. 2017, "Learning Efficient Convolutional
    Networks through Network Slimming").

    A group without one has its L2 norms. Raises BadInput where no group has a batch norm.
    """
    norms = {op.inputs[1] for op in graph.ops if op.kind == "batch_norm"}
    found = [[m for m in group.members if m.tensor in norms] for group in groups]
    if not any(found):
        raise BadInput(f'{graph.name}: importance "batch_norm" looks at the scales of batch norms, and no '
                       f'channel that can go has one (they may be folded into weights); use "l2"')
    return [_mean(graph, members, group.channels) if members else norm
            for group, members, norm in zip(groups, found, l2(graph, groups))]


def random(graph: Graph, groups: Sequence[Group], evidence: object, seed: int) -> list[np.ndarray]:
    """Uniform in [0, 1): the control."""
    rng = np.random.default_rng(seed)
    return [rng.random(group.channels) for group in groups]


def weights_of(graph: Graph, group: Group) -> list[Member]:
    """The group's members on constants that ops read as a weight or look rows up in."""
    roles = ((op.kind, role, name) for op in graph.ops
             for role, name in zip(OPS[op.kind].inputs, op.inputs))
    weights = {name for kind, role, name in roles if role == "weight" or (kind, role) == ("gather", "x")
               if graph.tensors[name].is_constant}
    return [member for member in group.members if member.tensor in weights]


def per_channel(values: np.ndarray, member: Member, channels: int) -> np.ndarray:
    """(channels,) float64: sums of what lies on each; values: shaped as the member's tensor."""
    others = tuple(axis for axis in range(values.ndim) if axis != member.axis)
    along = values.sum(axis=others, dtype=np.float64)
    return np.bincount(member.channel, along[member.index], channels)


def _summed(graph: Graph, group: Group, function) -> np.ndarray:
    """(channels,) of function(w)."""
    sums = [per_channel(function(graph.tensors[m.tensor].data.astype(np.float64)), m, group.channels)
            for m in weights_of(graph, group)]
    return np.sum([np.zeros(group.channels), *sums], axis=0)


def _share_of_larger(squares: np.ndarray) -> np.ndarray:
    order = np.sort(squares)
    not_smaller = np.append(np.cumsum(order[::-1])[::-1], 0.0)
    denominator = not_smaller[np.searchsorted(order, squares)]
    return np.divide(squares, denominator, out=np.zeros_like(squares), where=denominator > 0)


def _distances(graph: Graph, group: Group) -> np.ndarray:
    """(channels, channels), from inner products: |a - b|^2 = a.a + b.b - 2 a.b."""
    products = np.zeros((group.channels, group.channels))
    for member in weights_of(graph, group):
        rows = np.moveaxis(graph.tensors[member.tensor].data, member.axis, 0)[member.index]
        order = np.argsort(member.channel, kind="stable")
        vectors = rows[order].reshape(group.channels, -1).astype(np.float64)
        products += vectors @ vectors.T
    squares = np.diag(products)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0))


def _mean(graph: Graph, members: Sequence[Member], channels: int) -> np.ndarray:
    """(channels,) mean magnitude of the elements that lie on each."""
    sums = sum(per_channel(np.abs(graph.tensors[m.tensor].data), m, channels) for m in members)
    return sums / sum(np.bincount(m.channel, minlength=channels) for m in members)
