"""The penalty is on the scales that can go, and draws useless ones to zero."""

import numpy as np
import pytest

from tests.prune.trained import trained
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.prune.batch_norm_l1 import BatchNormL1
from toolchain.prune.groups import channel_groups
from toolchain.runtime import reference
from toolchain.runtime.torch_module import GraphModule


def network(norm=True, outer=True):
    """Of the norm's six channels the last three are read with weights of 0; a norm at the output stays."""
    rng, b = np.random.default_rng(0), Builder("normed")

    def normed(x, name, channels):
        parts = [b.constant(f"{name}.{part}", np.full(channels, value, np.float32))
                 for part, value in (("gamma", -0.5), ("beta", 0.1), ("mean", 0), ("variance", 1))]
        return b.op("batch_norm", [x, *parts], name, epsilon=1e-5)

    def dense(x, name, channels, columns, reads):
        weight = np.eye(channels, columns) + 0.1 * rng.standard_normal((channels, columns))
        weight[:, reads:] = 0
        parts = weight.astype(np.float32), np.zeros(channels, np.float32)
        constants = [b.constant(f"{name}.{part}", data) for part, data in zip("wb", parts)]
        return b.op("fully_connected", [x, *constants], name)

    x = dense(b.input("x", (1, 4)), "first", 6, 4, 4)
    x = dense(normed(x, "inner", 6) if norm else x, "second", 3, 6, 3)
    return b.graph(normed(x, "outer", 3) if outer else x)


def test_the_penalty_by_hand_and_its_gradient():
    graph = network()
    penalty, module = BatchNormL1(graph, channel_groups(graph).groups, strength=0.01), GraphModule(graph)
    value = penalty.penalty(module)
    value.backward()
    assert value.item() == pytest.approx(0.01 * 6 * 0.5)
    np.testing.assert_allclose(module.constant("inner.gamma").grad, np.full(6, -0.01))
    assert module.constant("outer.gamma").grad is None


def test_useless_channels_lose_their_scale():
    graph = network(outer=False)
    x = np.random.default_rng(1).standard_normal((128, 4)).astype(np.float32)
    penalty = BatchNormL1(graph, channel_groups(graph).groups, 0.003)
    tuned = trained(graph, x, reference.run(graph, {"x": x})["second"], [penalty], 150)
    gammas = np.abs(tuned.tensors["inner.gamma"].data)
    assert gammas[3:].max() < 0.1 < 0.2 < gammas[:3].min()


def test_a_network_without_batch_norms_on_what_can_go_is_refused():
    graph = network(norm=False)
    with pytest.raises(BadInput, match="needs a batch norm on channels that can go"):
        BatchNormL1(graph, channel_groups(graph).groups)


def test_settings_are_told():
    graph = network()
    keys = {BatchNormL1(graph, channel_groups(graph).groups, strength).key() for strength in (1e-4, 1e-5)}
    assert len(keys) == 2
