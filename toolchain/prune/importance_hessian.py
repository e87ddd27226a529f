"""How much each channel matters, from second derivatives of the loss.

LeCun et al. 1990, "Optimal Brain Damage": where training ended the first derivatives are 0, and 1/2 w^2 H_ii
is what the loss grows by without w. Here w is a channel's gate, which is 1. That is 1/2 sum of w_i w_j H_ij
over the channel's weights (as of `importance_gradient`), with what they do together. The sum of their
1/2 w_i^2 H_ii leaves that out and takes far more probes (Yu et al. 2022, "Hessian-Aware Pruning and Optimal
Neural Implant", has the mean of H_ii times the squared norm).
"""

from collections.abc import Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.prune.evidence import Evidence
from toolchain.prune.gated_module import GatedModule, Gates, batches, derivatives
from toolchain.prune.groups import Group
from toolchain.runtime.torch_module import fixed_threads

PROBES = 8
"""For each sample."""


@fixed_threads()
def hessian(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int,
            probes: int = PROBES) -> list[np.ndarray]:
    """Mean of 1/2 d^2 L_n / dg^2; below 0 where the loss curves down.

    Hutchinson 1990: the mean of z * (H z) over random signs z is the diagonal of H. Every sample has gates,
    and so signs, of its own: one pass backwards serves all samples of a batch.
    """
    gated = GatedModule(graph, groups, evidence)
    generator = torch.Generator().manual_seed(seed)
    sums = [np.zeros(group.channels) for group in groups]
    for positions, feeds in batches(evidence):
        gates = gated.ones(len(positions))
        gradients = derivatives(gated.losses(positions, feeds, gates).sum(), gates, again=True)
        for _ in range(probes):
            diagonal = _probed(gradients, gates, generator)
            sums = [total + part.sum(0, dtype=torch.float64).numpy() for total, part in zip(sums, diagonal)]
    return [total / (2 * probes * len(evidence.samples)) for total in sums]


def _probed(gradients: Gates, gates: Gates, generator: torch.Generator) -> Gates:
    """z * (H z) for signs z of each sample's gates; gradients: that can be differentiated."""
    signs = [torch.randint(2, gate.shape, generator=generator).float() * 2 - 1 for gate in gates]
    along = sum((gradient * sign).sum() for gradient, sign in zip(gradients, signs))
    return [sign * product for sign, product in zip(signs, derivatives(along, gates, keep=True))]
