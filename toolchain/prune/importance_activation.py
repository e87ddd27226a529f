"""How much each channel matters, from what its consumers read of it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.prune.evidence import Evidence
from toolchain.prune.gated_module import GatedModule, batches
from toolchain.prune.groups import Group
from toolchain.runtime.torch_module import fixed_threads


def activation(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """Mean |a| over samples, positions and consumers' inputs."""
    return _means(graph, groups, evidence, torch.abs)


def apoz(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """Share of values that are not 0: 1 - APoZ of Hu et al. 2016, "Network Trimming"."""
    return _means(graph, groups, evidence, lambda a: (a != 0).to(a.dtype))


@fixed_threads()
@torch.no_grad()
def _means(graph: Graph, groups: Sequence[Group], evidence: Evidence,
           function: Callable[[torch.Tensor], torch.Tensor]) -> list[np.ndarray]:
    """Per group (channels,), mean of function(a) over all values that consumers read; 0 where none does."""
    gated = GatedModule(graph, groups, evidence)
    sums, counts = ([np.zeros(group.channels) for group in groups] for _ in range(2))
    for _, values in batches(evidence):
        gated.module.compute(values, gated.module.graph.ops)
        for place, reader in gated.reads:
            masked = values[reader.inputs[0]]
            read = function(masked).movedim(place.member.axis, 0).flatten(1)
            channel, channels = place.member.channel, groups[place.group].channels
            total = read.sum(1, dtype=torch.float64).numpy()
            sums[place.group] += np.bincount(channel, total[place.member.index], channels)
            counts[place.group] += read.shape[1] * np.bincount(channel, minlength=channels)
    return [total / np.maximum(count, 1) for total, count in zip(sums, counts)]
