"""The diagonal of the Hessian by the loss's gates: torch's own of a tiny network, and second differences."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from tests.prune.tasks import Exact, evidence
from toolchain.ir.build import Builder
from toolchain.prune.groups import channel_groups
from toolchain.prune.importance_hessian import PROBES, hessian

STEP = 2.0**-10
"""Masks hold 1 +- STEP exactly in float32."""


def network(seed=0):
    """Two dense layers of 4 and 3 channels with tanh, which curves, and a classifier."""
    rng, b = np.random.default_rng(seed), Builder("tiny")

    def dense(x, inputs, outputs):
        weight, bias = rng.standard_normal((outputs, inputs)), rng.standard_normal(outputs)
        return b.op("fully_connected", [x, *(b.constant("c", v.astype(np.float32)) for v in (weight, bias))],
                    "fc")
    x = b.op("tanh", [dense(b.input("x", (1, 5)), 5, 4)], "a")
    x = b.op("tanh", [dense(x, 4, 3)], "b")
    graph = b.graph(dense(x, 3, 3))
    return graph, channel_groups(graph).groups


def by_torch(graph, shown):
    """Per group the diagonal of the mean loss's Hessian by factors of both layers' outputs, in float64."""
    parts = [torch.from_numpy(graph.tensors[name].data).double()
             for op in graph.ops if op.kind == "fully_connected" for name in op.inputs[1:]]
    x = torch.from_numpy(shown.samples.x["x"]).double()
    y = torch.from_numpy(shown.samples.y)

    def loss(first, second):
        a = torch.tanh(functional.linear(x, *parts[:2])) * first
        b = torch.tanh(functional.linear(a, *parts[2:4])) * second
        return functional.cross_entropy(functional.linear(b, *parts[4:]), y)
    gates = torch.ones(4, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    blocks = torch.autograd.functional.hessian(loss, gates)
    return [blocks[k][k].diagonal().numpy() for k in range(2)]


def test_hutchinson_converges_to_the_exact_diagonal():
    """The error falls as one by the root of the number of probes."""
    graph, groups = network()
    shown = evidence(graph, 20)
    exact = np.concatenate(by_torch(graph, shown)) / 2

    def error(probes, seed):
        return np.linalg.norm(np.concatenate(hessian(graph, groups, shown, seed, probes)) - exact)
    few, many = (np.mean([error(probes, seed) for seed in range(3)]) for probes in (4, 1024))
    assert many < 0.03 * np.linalg.norm(exact)
    assert 8 < few / many < 32  # 16


def test_second_differences_of_the_masked_network_say_the_same():
    graph, groups = network(1)
    shown = evidence(graph, 64)
    exact = Exact(graph, groups, shown)
    whole = exact.losses([np.ones(group.channels) for group in groups])
    expected = exact.per_channel(lambda group, channel: (
        exact.moved(group, channel, 1 + STEP) + exact.moved(group, channel, 1 - STEP) - 2 * whole
    ).mean() / STEP**2 / 2)
    found = hessian(graph, groups, shown, 0, 1000)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=0.03 * np.abs(b).max())


def test_a_loss_that_does_not_curve_has_none():
    """Of the outputs' sum, through ReLU: its first derivatives do not depend on the gates of one layer."""
    b = Builder("flat")
    rng = np.random.default_rng(0)
    h = b.op("fully_connected", [b.input("x", (1, 3)), b.constant("w", rng.random((4, 3), np.float32)),
                                 b.constant("b", np.zeros(4, np.float32))], "h", activation="relu")
    y = b.op("fully_connected", [h, b.constant("v", rng.random((2, 4), np.float32)),
                                 b.constant("c", np.zeros(2, np.float32))], "y")
    graph = b.graph(y)
    groups = channel_groups(graph).groups
    shown = replace(evidence(graph), loss=lambda values, positions: values["y"].sum(1))
    np.testing.assert_array_equal(hessian(graph, groups, shown, 0)[0], 0)


def test_the_seed_draws_the_probes():
    graph, groups = network()
    shown = evidence(graph, 6)
    first, again, other = (np.concatenate(hessian(graph, groups, shown, seed, PROBES)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
