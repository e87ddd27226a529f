"""The check that every cut ends with: the rest computes what the whole does with the cut channels at 0."""

from collections.abc import Mapping

import numpy as np

from toolchain.errors import SelfCheckFailed
from toolchain.ir.graph import Graph
from toolchain.load.selfcheck import noise, share_of_range
from toolchain.prune.cut import Kept
from toolchain.runtime import reference

TOLERANCE = 1e-4
"""Largest allowed |sliced - masked|, as a share of the tensor's range."""
REPORT = "This is a bug in a channel rule: please report it"


def check_pruned(masked: Graph, smaller: Graph, kept: Kept) -> None:
    """Run both on the same noise and compare their outputs.

    masked:  the graph in full size with the cut channels at 0 where they are read
    smaller: the graph without them
    kept:    which elements of the masked graph's tensors the smaller one has
    Raises SelfCheckFailed, which names the first tensor that diverges.
    """
    feeds = noise(masked)
    expected, got = (reference.run(graph, feeds) for graph in (masked, smaller))
    errors = {name: share_of_range(got[name], expected[name]) for name in masked.outputs}
    worst = max(errors, key=errors.get)
    if errors[worst] > TOLERANCE:
        raise SelfCheckFailed(f"{masked.name}: after pruning, {worst} is {errors[worst]:.2g} of its range "
                              f"away from the network with the cut channels at zero; "
                              f"{_first_divergence(masked, smaller, feeds, kept)}. {REPORT}")


def _first_divergence(masked: Graph, smaller: Graph, feeds: Mapping[str, np.ndarray], kept: Kept) -> str:
    """In the order of the ops, on the elements that both have."""
    names = [op.name for op in smaller.ops]
    expected, got = (reference.run(graph, feeds, keep=names) for graph in (masked, smaller))
    for op in smaller.ops:
        whole = _compressed(expected[op.name], op.name, kept)
        if share_of_range(got[op.name], whole) > TOLERANCE:
            return f"the first tensor that diverges is {op.name} ({op.kind})"
    return "no tensor on the way to it diverges by as much"


def _compressed(value: np.ndarray, name: str, kept: Kept) -> np.ndarray:
    for axis in range(value.ndim):
        if (name, axis) in kept:
            value = np.compress(kept[name, axis], value, axis)
    return value
