"""Channels in falling order of importance, and networks that are the first of them."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from tests.train.training_nets import network
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.ir.graph import Graph
from toolchain.load.selfcheck import noise, share_of_range
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.prune.nested import narrow, ordered
from toolchain.runtime import reference


def scores_of(graph: Graph, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(group.channels).astype(float) for group in channel_groups(graph).groups]


def outputs(graph: Graph) -> list[np.ndarray]:
    made = reference.run(graph, noise(graph))
    return [made[name] for name in graph.outputs]


@given(st.integers(0, 400))
def test_another_order_computes_the_same(seed):
    graph = RandomNet(seed).graph(3)
    found = check(ordered(graph, channel_groups(graph).groups, scores_of(graph, seed)), "FLOAT")
    assert found.ops == graph.ops and found.parameters == graph.parameters
    for got, expected in zip(outputs(found), outputs(graph), strict=True):
        assert share_of_range(got, expected) < 1e-4


@given(st.integers(0, 400), st.floats(0.2, 0.8))
def test_a_narrow_one_is_what_pruning_the_least_important_leaves(seed, share):
    """Cut from the network in its own order, as `cut_to` would, and told by its answers."""
    graph, scores = RandomNet(seed).graph(3), scores_of(RandomNet(seed).graph(3), seed)
    groups, steps = channel_groups(graph).groups, [1] * len(scores)
    try:
        found = narrow(ordered(graph, groups, scores), groups, share, steps)
    except BadInput:
        assert not groups or all(round(share * group.channels) == group.channels for group in groups)
        return
    gone = [np.argsort(-values, kind="stable")[max(1, round(share * len(values))):] for values in scores]
    pruned = check(sliced(graph, kept_elements(graph, [*zip(groups, gone, strict=True)])), "FLOAT")
    for got, expected in zip(outputs(found.graph), outputs(pruned), strict=True):
        assert share_of_range(got, expected) < 1e-4


def test_weights_of_a_narrow_one_are_the_first_of_the_wide_ones():
    graph = network(channels=12)
    groups = channel_groups(graph).groups
    wide = ordered(graph, groups, scores_of(graph))
    found = narrow(wide, groups, 0.4, [4])
    for name, shape in {"w": (4, 3, 3, 2), "f": (3, 4), "g": (4,), "wb": (4,), "fb": (3,)}.items():
        data = found.graph.tensors[name].data
        assert data.shape == shape
        assert np.array_equal(data, wide.tensors[name].data[tuple(map(slice, shape))])
    first = np.argsort(-scores_of(graph)[0])[:4]
    assert np.array_equal(found.graph.tensors["w"].data, graph.tensors["w"].data[first])


def test_a_gather_picks_the_same_channels():
    """In the order 3, 0, 2, 1; and in any other."""
    b = Builder("shuffled")
    rng = np.random.default_rng(0)

    def conv(x: str, count: int, name: str) -> str:
        weight = rng.standard_normal((count, 1, 1, b.tensors[x].shape[-1])).astype(np.float32)
        bias = b.constant("b", np.zeros(count, np.float32))
        return b.op("conv2d", [x, b.constant("w", weight), bias], name)

    stem = conv(b.input("x", (1, 2, 2, 3)), 4, "stem")
    picked = b.op("gather", [stem, b.constant("order", np.array([3, 0, 2, 1]))], "picked", axis=3)
    graph = b.graph(conv(picked, 2, "y"))
    groups = channel_groups(graph).groups
    found = ordered(graph, groups, [np.array([0.0, 3.0, 1.0, 2.0])])
    assert np.allclose(outputs(found)[0], outputs(graph)[0], atol=1e-6)


def test_a_share_that_keeps_all_is_refused():
    graph = network(channels=8)
    groups = channel_groups(graph).groups
    with pytest.raises(BadInput, match=r"net: \[widths\] shares = 0.9 keeps all channels: its groups have 8 "
                                       r"in steps of 4; lower the share"):
        narrow(graph, groups, 0.9, [4])
