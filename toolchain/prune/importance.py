"""How much each channel of a group matters, from its weights.

Li et al. 2017, "Pruning Filters for Efficient ConvNets" (L1, L2 of filters); over all weights that go with a
channel, as in Fang et al. 2023, "DepGraph: Towards Any Structural Pruning".
"""

from collections.abc import Callable, Mapping

import numpy as np

from toolchain.ir.graph import Graph
from toolchain.ir.ops import OPS
from toolchain.prune.groups import Group, Member


def l1(weight: np.ndarray, axis: int, member: Member, channels: int) -> np.ndarray:
    """Sum of |w| per channel."""
    return _per_channel(np.abs(weight), axis, member, channels)


def l2(weight: np.ndarray, axis: int, member: Member, channels: int) -> np.ndarray:
    """Square root of the sum of w^2 per channel."""
    return np.sqrt(_per_channel(np.square(weight), axis, member, channels))


def _per_channel(values: np.ndarray, axis: int, member: Member, channels: int) -> np.ndarray:
    others = tuple(i for i in range(values.ndim) if i != axis)
    along = values.sum(axis=others, dtype=np.float64)
    return np.bincount(member.channel, along[member.index], channels)


IMPORTANCE: Mapping[str, Callable[[np.ndarray, int, Member, int], np.ndarray]] = {"l1": l1, "l2": l2}


def importance(graph: Graph, group: Group, measure: str) -> np.ndarray:
    """(channels,) with mean 1: each channel's norm by the mean norm, averaged over the weights of the group.

    Normalised per weight, so that in a global ranking neither a wide kernel nor a layer of large weights
    outranks another layer's channels. measure: a key of IMPORTANCE
    """
    roles = ((role, name) for op in graph.ops for role, name in zip(OPS[op.kind].inputs, op.inputs))
    weights = {name for role, name in roles if role == "weight"}
    scores = [IMPORTANCE[measure](graph.tensors[m.tensor].data, m.axis, m, group.channels)
              for m in group.members if m.tensor in weights]
    return np.mean([score / (score.mean() or 1.0) for score in scores] or [np.ones(group.channels)], axis=0)
