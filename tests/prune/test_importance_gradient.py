"""First-order criteria against differences of the loss in float64, and against one sample at a time."""

import numpy as np
import pytest
import torch

from tests.prune.nets import RandomNet
from tests.prune.tasks import Exact, evidence
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance_gradient import fisher, gate_gradients, gradient, taylor
from toolchain.prune.importance_weight import weights_of
from toolchain.runtime.torch_module import GraphModule

STEP = 2.0**-16
"""Gates move so far: masks hold 1 +- STEP exactly in float32, and few activations meet a kink on the way."""


def network(seed, blocks=4):
    graph = RandomNet(seed).graph(blocks)
    return graph, channel_groups(graph).groups


def slopes(exact):
    """Per group (channels, n): dL_n / dg by central differences."""
    return exact.per_channel(lambda group, channel: (exact.moved(group, channel, 1 + STEP)
                                                     - exact.moved(group, channel, 1 - STEP)) / (2 * STEP))


def close(found, expected):
    """float32 against float64, as a share of the largest of the group; a group's places add up."""
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("seed", range(6))
def test_taylor_and_fisher_are_what_gates_do_to_the_loss(seed):
    graph, groups = network(seed)
    shown = evidence(graph, seed=seed)
    expected = slopes(Exact(graph, groups, shown))
    close(taylor(graph, groups, shown, 0), [np.abs(slope).mean(1) for slope in expected])
    close(fisher(graph, groups, shown, 0), [np.square(slope).mean(1) / 2 for slope in expected])


def test_each_sample_has_gradients_of_its_own():
    """More samples than a batch; of each the same as alone."""
    graph, groups = network(3)
    shown = evidence(graph, 70)
    together = [np.concatenate(parts) for parts in zip(*gate_gradients(graph, groups, shown))]
    exact = slopes(Exact(graph, groups, shown))
    close([part.T for part in together], exact)


def test_gradient_is_the_mean_magnitude_over_samples():
    graph, groups = network(1)
    shown = evidence(graph, 5)
    module = GraphModule(graph).eval()
    sums = {}
    for n in range(5):
        feeds = {name: torch.from_numpy(x[n:n + 1]) for name, x in shown.samples.x.items()}
        module.zero_grad()
        shown.loss(module(feeds), np.array([n])).sum().backward()
        for tensor in graph.constants:
            found = module.constant(tensor.name).grad
            if found is not None:
                sums[tensor.name] = sums.get(tensor.name, 0) + found.abs().numpy() / 5
    for group, scores in zip(groups, gradient(graph, groups, shown, 0), strict=True):
        expected = np.zeros(group.channels)
        for member in weights_of(graph, group):
            along = np.moveaxis(sums[member.tensor], member.axis, 0)
            for index, channel in zip(member.index, member.channel):
                expected[channel] += along[index].sum()
        np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_channel_that_nothing_reads_scores_nothing():
    """Its consumers' weights are 0."""
    graph, groups = network(0, blocks=0)
    member = next(m for g in groups[:1] for m in weights_of(graph, g) if m.axis == 1)
    data = graph.tensors[member.tensor].data
    data[:, member.index[member.channel == 2]] = 0
    shown = evidence(graph)
    for criterion in (taylor, fisher):
        scores = criterion(graph, groups, shown, 0)[0]
        assert scores[2] == 0 and (np.delete(scores, 2) > 0).any()
