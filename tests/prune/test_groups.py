"""Channels that must go together are found, and those that must stay are named with the reason."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.ir.build import Builder
from toolchain.prune.groups import channel_groups


def zeros(b, *shape):
    return b.constant("c", np.zeros(shape, np.float32))


def conv(b, x, outputs, name):
    inputs = b.tensors[x].shape[-1]
    return b.op("conv2d", [x, b.constant(f"{name}.weight", np.zeros((outputs, 1, 1, inputs), np.float32)),
                           b.constant(f"{name}.bias", np.zeros(outputs, np.float32))], name)


def members(group):
    return {(m.tensor, m.axis): [np.sort(m.index[m.channel == c]).tolist() for c in range(group.channels)]
            for m in group.members}


def test_a_conv_goes_with_its_reader():
    b = Builder("chain")
    y = conv(b, conv(b, b.input("x", (1, 4, 4, 3)), 6, "a"), 5, "z")
    grouping = channel_groups(b.graph(y))
    (group,) = grouping.groups
    assert (group.name, group.channels) == ("a", 6)
    assert members(group) == {(t, axis): [[i] for i in range(6)] for t, axis in [
        ("a", 3), ("a.weight", 0), ("a.bias", 0), ("z.weight", 3)]}
    assert grouping.fixed == {"z": "z is an output of the network"}


def test_flatten_repeats_and_depthwise_multiplies():
    """Channel c of [1, 2, 2, 3] with multiplier 2 is columns 2c, 2c + 1 of each of the 4 places."""
    b = Builder("flat")
    x = conv(b, b.input("x", (1, 2, 2, 4)), 3, "a")
    d = b.op("depthwise_conv2d", [x, zeros(b, 1, 1, 1, 6), zeros(b, 6)], "d", multiplier=2)
    f = b.op("reshape", [d], "f", shape=(1, 24))
    y = b.op("fully_connected", [f, b.constant("w", np.zeros((2, 24), np.float32)), zeros(b, 2)], "y")
    (group,) = channel_groups(b.graph(y)).groups
    found = members(group)
    assert group.channels == 3
    assert found["d", 3] == [[0, 1], [2, 3], [4, 5]]
    assert found["w", 1] == [[p * 6 + k for p in range(4) for k in (2 * c, 2 * c + 1)] for c in range(3)]


def test_residual_partners_are_one_group_and_concat_parts_are_two():
    b = Builder("both")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 4, "stem")
    add = b.op("add", [conv(b, x, 4, "inner"), x], "add")
    parts = b.op("concat", [add, conv(b, x, 5, "side")], "parts", axis=3)
    groups = {g.name: g for g in channel_groups(b.graph(conv(b, parts, 2, "y"))).groups}
    assert {name: g.channels for name, g in groups.items()} == {"stem": 4, "side": 5}
    assert members(groups["stem"])["parts", 3] == [[0], [1], [2], [3]]
    assert members(groups["side"])["y.weight", 3] == [[4], [5], [6], [7], [8]]
    assert {"inner.weight", "stem.weight", "side.weight"} <= groups["stem"].tensors  # side reads stem


def test_a_residual_onto_the_input_keeps_its_channels():
    b = Builder("fixed")
    x = b.input("x", (1, 2, 2, 3))
    add = b.op("add", [conv(b, x, 3, "a"), x], "add")
    grouping = channel_groups(b.graph(conv(b, add, 2, "y")))
    assert grouping.groups == ()
    assert grouping.fixed == {"a": "x is an input of the network", "y": "y is an output of the network"}


def test_softmax_keeps_its_channels():
    b = Builder("attention")
    s = b.op("softmax", [conv(b, b.input("x", (1, 2, 2, 3)), 4, "a")], "s")
    why = channel_groups(b.graph(conv(b, s, 2, "y"))).fixed["a"]
    assert why == "s (softmax) needs all channels of a: they compete"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 6))
def test_groups_partition_the_channels(seed, blocks):
    """No element is in two channels, each channel is on every tensor of its group, and the rows of a weight
    are all in groups or its op is fixed."""
    graph = RandomNet(seed).graph(blocks)
    grouping = channel_groups(graph)
    taken = set()
    for group in grouping.groups:
        for member in group.members:
            assert set(member.channel.tolist()) == set(range(group.channels))
            assert member.index.max() < graph.tensors[member.tensor].shape[member.axis]
            elements = {(member.tensor, member.axis, i) for i in member.index.tolist()}
            assert len(elements) == len(member.index) and not elements & taken
            taken |= elements
    for op in graph.ops:
        if op.kind in ("conv2d", "fully_connected"):
            rows = {(op.inputs[1], 0, i) for i in range(graph.tensors[op.inputs[1]].shape[0])}
            assert (op.name in grouping.fixed) != (rows <= taken)


@pytest.mark.parametrize("depth", [53])
def test_a_network_of_resnet50_size_takes_less_than_a_second(depth):
    b = Builder("wide")
    x = conv(b, b.input("x", (1, 8, 8, 3)), 2048, "stem")
    for index in range(depth // 3):
        y = conv(b, conv(b, conv(b, x, 512, f"a{index}"), 512, f"b{index}"), 2048, f"c{index}")
        x = b.op("add", [x, y], f"add{index}", activation="relu")
    start = time.process_time()
    grouping = channel_groups(b.graph(conv(b, x, 10, "y")))
    assert time.process_time() - start < 1.0
    assert [g.channels for g in grouping.groups] == [2048] + [512] * 34
