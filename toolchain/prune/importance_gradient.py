"""How much each channel matters, from first derivatives of the loss of each sample.

Gates stand for weights: of the weights that make a channel, or of those that read it, the sum of w * dL/dw is
the derivative by the channel's gate (for those that make it: with their biases and norms, and as far as what
stands between is homogeneous, as ReLU is; Molchanov et al. 2019, "Importance Estimation for Neural Network
Pruning"). A gate's derivative counts its channel once, however many layers it goes through, and is about
masking, which is what pruning does.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from toolchain.ir.graph import Graph
from toolchain.prune.evidence import Evidence
from toolchain.prune.gated_module import GatedModule, batches, derivatives, task_module
from toolchain.prune.groups import Group
from toolchain.prune.importance_weight import per_channel, weights_of
from toolchain.runtime.torch_module import fixed_threads


def taylor(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """Mean of |dL_n / dg| = |sum a * dL_n / da|: what masking changes each sample's loss by, to first order.

    Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference", section
    2.2: of each example, then averaged. That is the root of (sum w * dL_n / dw)^2 (Molchanov et al. 2019),
    hence in the loss's unit. The derivative of the mean loss says less: where training ended it is near 0,
    whatever a channel does to each sample.
    """
    return _mean_of(np.abs, graph, groups, evidence)


def fisher(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """1 / (2 N) sum of (dL_n / dg)^2: the empirical Fisher information in the place of the Hessian.

    Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning", section 2.
    """
    return _mean_of(lambda gradient: np.square(gradient) / 2, graph, groups, evidence)


@fixed_threads()
def gradient(graph: Graph, groups: Sequence[Group], evidence: Evidence, seed: int) -> list[np.ndarray]:
    """Mean of |dL_n / dw|, summed over the channel's weights (all that go with it, as of `l1`)."""
    members = [weights_of(graph, group) for group in groups]
    module = task_module(graph, evidence)
    names = sorted({member.tensor for found in members for member in found})
    weights = [module.constant(name).requires_grad_() for name in names]
    sums = [torch.zeros_like(weight) for weight in weights]
    for positions, feeds in batches(evidence, size=1):
        total = evidence.loss(module(feeds), positions).sum()
        sums = [before + found.abs() for before, found in zip(sums, derivatives(total, weights))]
    means = {name: (total / len(evidence.samples)).numpy() for name, total in zip(names, sums)}
    return [sum((per_channel(means[m.tensor], m, group.channels) for m in found), np.zeros(group.channels))
            for group, found in zip(groups, members)]


def gate_gradients(graph: Graph, groups: Sequence[Group], evidence: Evidence) -> Iterator[list[np.ndarray]]:
    """Batch by batch, per group (n, channels): dL_n / dg, of each sample's loss by its gates."""
    gated = GatedModule(graph, groups, evidence)
    for positions, feeds in batches(evidence):
        gates = gated.ones(len(positions))
        found = derivatives(gated.losses(positions, feeds, gates).sum(), gates)
        yield [gradient.double().numpy() for gradient in found]


@fixed_threads()
def _mean_of(function: Callable[[np.ndarray], np.ndarray], graph: Graph, groups: Sequence[Group],
             evidence: Evidence) -> list[np.ndarray]:
    """Per group (channels,): of function(dL_n / dg) over the samples."""
    sums = [np.zeros(group.channels) for group in groups]
    for gradients in gate_gradients(graph, groups, evidence):
        sums = [total + function(part).sum(0) for total, part in zip(sums, gradients)]
    return [total / len(evidence.samples) for total in sums]
