"""A branch's score is the loss without it, by the reference on the graph that has lost it."""

import numpy as np
import torch

from tests.prune.block_nets import ResidualNet
from toolchain.data import Samples
from toolchain.prune.blocks import remove_branches, residual_branches
from toolchain.prune.branch_scores import branch_scores
from toolchain.prune.evidence import Evidence
from toolchain.runtime import reference


def graph_of(seed: int):
    net = ResidualNet(seed)
    x = net.plain(net.x)
    for block in (ResidualNet.basic, ResidualNet.nested, ResidualNet.projected):
        x = block(net, x)
    return net.build.graph(net.build.op("mean", [net.conv(x, 3)], "logits", axes=(1, 2)))


def evidence(count: int):
    """Squared outputs, times the sample's position: the loss must be asked with the right ones."""
    x = np.random.default_rng(0).standard_normal((count, 6, 6, 4), np.float32)

    def loss(values, positions):
        return values["logits"].square().mean(1) * torch.from_numpy(1.0 + positions).float()
    return Evidence(Samples("drawn", {"x": x}, None, None, np.arange(count)), ("logits",), loss)


def mean_loss(graph, samples) -> float:
    logits = reference.run(graph, samples.feeds(np.arange(len(samples))))["logits"].astype(np.float64)
    return float((np.square(logits).mean(1) * (1 + np.arange(len(samples)))).mean())


def test_scores_are_differences_of_the_loss_measured_on_the_smaller_graphs():
    """Over more than one batch of samples."""
    for seed in range(3):
        graph, given = graph_of(seed), evidence(70)
        branches = residual_branches(graph)
        whole = mean_loss(graph, given.samples)
        smaller = [remove_branches(graph, [branch.name]) for branch in branches]
        expected = [mean_loss(graph, given.samples) - whole for graph in smaller]
        found = branch_scores(graph, branches, given)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * whole)
        assert len(set(np.round(expected, 6))) == len(branches) == 4


def test_scores_are_the_same_each_time_and_leave_the_graph_alone():
    graph, given = graph_of(5), evidence(20)
    digest, branches = graph.digest, residual_branches(graph)
    first, second = (branch_scores(graph, branches, given) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert graph.digest == digest


def test_no_branches_no_scores():
    assert branch_scores(graph_of(0), (), evidence(3)).shape == (0,)
