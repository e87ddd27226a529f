"""What the loss becomes without each residual branch: measured, as it is for channels by `perturbation`."""

from collections.abc import Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.prune.blocks import Branch, with_branch_masks
from toolchain.prune.evidence import Evidence
from toolchain.prune.gated_module import batches, task_module
from toolchain.runtime.torch_module import fixed_threads


@fixed_threads()
@torch.no_grad()
def branch_scores(graph: Graph, branches: Sequence[Branch], evidence: Evidence) -> np.ndarray:
    """(branches,) float64: mean loss with the branch at 0 where its add reads it, minus that of the whole
    network; in units of the loss, and below 0 where the network is better off without."""
    masked = with_branch_masks(graph, branches)
    module, found = task_module(masked.graph, evidence), np.zeros(len(branches))
    ops = module.graph.ops
    begins = [ops.index(module.graph.consumers[place.mask][0]) for place in masked.places]
    for positions, values in batches(evidence):
        module.compute(values, ops)
        whole = evidence.loss(values, positions)
        for place, begin in zip(masked.places, begins):
            mask, without = module.constant(place.mask), dict(values)
            mask.zero_()
            module.compute(without, ops[begin:])
            mask.fill_(1)
            found[place.group] += float((evidence.loss(without, positions) - whole).double().sum())
    return found / len(evidence.samples)
