"""The loss of each masked network, against one network after the other."""

from dataclasses import replace

import numpy as np
import pytest

from tests.prune.nets import RandomNet
from tests.prune.tasks import Exact, evidence
from toolchain.prune.groups import channel_groups
from toolchain.prune.perturbation import perturbation


@pytest.mark.parametrize("seed", range(5))
def test_each_channel_masked_alone(seed):
    graph = RandomNet(seed).graph(4)
    groups = channel_groups(graph).groups
    shown = evidence(graph, 70 if seed == 0 else 8, seed)
    exact = Exact(graph, groups, shown)
    whole = exact.losses([np.ones(group.channels) for group in groups]).mean()
    expected = exact.per_channel(lambda group, channel: exact.moved(group, channel, 0.0).mean() - whole)
    for found, difference in zip(perturbation(graph, groups, shown, 0), expected, strict=True):
        np.testing.assert_allclose(found, difference, rtol=1e-3, atol=1e-5 * max(1, whole))


def test_a_loss_on_an_inner_tensor():
    """What the loss is made of may lie before the output: ops behind it make no difference."""
    net = RandomNet(2)
    x = net.build.op("mean", [net.conv(net.conv(net.x, 8), 6)], "m", axes=(1, 2))
    logits = net.build.op("fully_connected", [x, net.constant(3, 6), net.constant(3)], "logits")
    graph = net.build.graph(net.build.op("softmax", [logits], "p"))
    groups = channel_groups(graph).groups
    shown = evidence(replace(graph, outputs=("logits",)))
    exact = Exact(graph, groups, shown)
    whole = exact.losses([np.ones(group.channels) for group in groups]).mean()
    expected = exact.per_channel(lambda group, channel: exact.moved(group, channel, 0.0).mean() - whole)
    np.testing.assert_allclose(np.concatenate(perturbation(graph, groups, shown, 0)),
                               np.concatenate(expected), atol=1e-5)
