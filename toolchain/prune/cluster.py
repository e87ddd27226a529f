"""Weights that share few values: a codebook for each weight tensor, found by k-means.

Han et al. 2016, "Deep Compression", section 3: values start evenly spread between the least and the largest
weight ("linear", which keeps large ones best), and move to the mean of what is nearest to them until nothing
changes. A weight that is 0 stays 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.errors import BadInput
from toolchain.ir.check import WEIGHTED, level_of
from toolchain.ir.graph import Graph
from toolchain.prune.sparsify import kept_by, require_matches
from toolchain.training_sections import ClusterConfig

ITERATIONS = 300
"""At most."""


@dataclass(frozen=True)
class Shares:
    """index: of each weight's value, in its shape; values[index] are the weights
    values: float32, ascending
    """

    index: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Clustered:
    """graph: with few values;  shares: weight -> which;  whole: op whose weights stay as they are -> why
    error: squared change of all of them, as a share of their squares
    """

    graph: Graph
    shares: Mapping[str, Shares]
    whole: Mapping[str, str]
    error: float

    @property
    def summary(self) -> str:
        """One line for people."""
        whole = "; ".join(f"{name}: {why}" for name, why in self.whole.items())
        count = sum(share.index.size for share in self.shares.values())
        most = max(len(share.values) for share in self.shares.values())
        return (f"{count:,} weights in {len(self.shares)} tensors take {most} values at most in each, which "
                f"changes {self.error:.2%} of their squares; kept as they are: {whole or 'nothing'}")


def cluster(graph: Graph, config: ClusterConfig) -> Clustered:
    """The graph with at most `clusters` values in each weight tensor.

    graph: FLOAT. Raises BadInput for a quantized one or where no weights are left, BadConfig where `keep` has
    a pattern that matches nothing.
    """
    if level_of(graph) != "FLOAT":
        raise BadInput(f"{graph.name}: only float weights can be clustered; cluster before quantizing")
    ops = [op for op in graph.ops if op.kind in WEIGHTED]
    require_matches(graph, config, ops)
    whole = {op.name: "[cluster] keep" for op in ops if kept_by(config, op)}
    whole |= {op.name: "its weight is computed" for op in ops if not graph.of(op)[1].is_constant}
    stay = {op.inputs[1] for op in ops if op.name in whole}
    weights = {op.inputs[1]: graph.of(op)[1] for op in ops if op.inputs[1] not in stay}
    if not weights:
        reasons = "; ".join(f"{name}: {why}" for name, why in whole.items()) or "it has no op with weights"
        raise BadInput(f"{graph.name}: no weights to cluster: {reasons}")
    shares = {name: shared(tensor.data, config.clusters) for name, tensor in weights.items()}
    changed = [replace(weights[name], data=share.values[share.index]) for name, share in shares.items()]
    lost = sum(float(np.square(new.data - weights[new.name].data, dtype=np.float64).sum()) for new in changed)
    squares = sum(float(np.square(tensor.data, dtype=np.float64).sum()) for tensor in weights.values())
    return Clustered(graph.with_tensors(*changed), shares, whole, lost / squares if squares else 0.0)


def shared(weight: np.ndarray, clusters: int) -> Shares:
    """At most so many values for a weight; where it has no more, its own."""
    others = weight[weight != 0]
    room, own = clusters - int(others.size < weight.size), np.unique(others)
    found = own if len(own) <= room else k_means(others, room).astype(np.float32)
    data = np.zeros_like(weight)
    if others.size:
        data[weight != 0] = found[np.searchsorted((found[1:] + found[:-1]) / 2, others)]
    values, index = np.unique(data, return_inverse=True)
    return Shares(index.reshape(weight.shape), values)


def k_means(numbers: np.ndarray, clusters: int) -> np.ndarray:
    """float64 (at most clusters,): ascending, each the mean of what is nearest to it (Lloyd 1982)."""
    ordered = np.sort(numbers.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.linspace(ordered[0], ordered[-1], clusters)
    for _ in range(ITERATIONS):
        ends = np.searchsorted(ordered, (centres[1:] + centres[:-1]) / 2)
        bounds = np.concatenate([[0], ends, [len(ordered)]])
        counts = np.diff(bounds)
        moved = np.where(counts > 0, np.diff(sums[bounds]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres[counts > 0]
