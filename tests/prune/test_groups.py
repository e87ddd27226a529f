"""Channels that must go together are found, and those that must stay are named with the reason."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.composed_nets import ComposedNet
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
    graph = ComposedNet(seed).graph(blocks)
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


# What is composed -------------------------------------------------------------------------------------------

def dense(b, x, count, name):
    return b.op("fully_connected", [x, zeros(b, count, b.tensors[x].shape[-1]), zeros(b, count)], name)


def found(graph):
    """Group -> how many channels; and of what stays the first words of the reason."""
    grouping = channel_groups(graph)
    assert len({group.name for group in grouping.groups}) == len(grouping.groups)
    return ({group.name: group.channels for group in grouping.groups},
            {name: why.split(":")[0] for name, why in grouping.fixed.items()})


def group_normed(b, x, groups):
    _, height, width, channels = shape = b.tensors[x].shape
    parted = b.op("reshape", [x], "parted", shape=(1, height * width, groups, channels // groups))
    parameters = zeros(b, groups, 1), zeros(b, groups, 1)
    y = b.op("layer_norm", [parted, *parameters], "norm", axes=(1, 3), epsilon=1e-3)
    return b.op("reshape", [y], "merged", shape=shape)


def test_group_norm_loses_whole_groups():
    """Channels 4g..4g + 3 are normalized together."""
    b = Builder("group norm")
    x = conv(b, b.input("x", (1, 4, 4, 3)), 12, "a")
    (group,) = channel_groups(b.graph(conv(b, group_normed(b, x, 3), 2, "y"))).groups
    assert members(group)["a.weight", 0] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_layer_norm_of_all_channels_keeps_them_even_through_a_reshape():
    b = Builder("one group")
    x = conv(b, b.input("x", (1, 4, 4, 3)), 12, "a")
    groups, fixed = found(b.graph(conv(b, group_normed(b, x, 1), 2, "y")))
    assert groups == {} and fixed["a"] == "norm (layer_norm) needs all channels of parted"


def attention(heads, each):
    """Of 12 channels, between convolutions."""
    b = Builder("attention")
    x = b.input("x", (1, 4, 4, 3))
    query, key, value = (
        b.op("transpose", [b.op("reshape", [conv(b, x, 12, name)], "heads", shape=(1, 16, heads, each))],
             "turned", perm=(0, 2, 1, 3)) for name in "qkv")
    weights = b.op("softmax", [b.op("batch_matmul", [query, key], "product", transpose_b=True)], "weights")
    y = b.op("transpose", [b.op("batch_matmul", [weights, value], "mixed")], "back", perm=(0, 2, 1, 3))
    y = b.op("reshape", [y], "merged", shape=(1, 4, 4, 12))
    return b.graph(conv(b, y, 2, "y"))


def test_whole_heads_go_where_it_is_asked_for():
    """Two heads of six values: one channel is a head of queries, keys and values, and its columns behind."""
    (group,) = channel_groups(attention(2, 6), heads=True).groups
    assert group.channels == 2 and {f"{name}.weight" for name in "qkvy"} <= group.tensors
    assert members(group)["v.weight", 0] == [list(range(6)), list(range(6, 12))]


@pytest.mark.parametrize("heads, each, channels", [(2, 6, [6, 6]), (6, 2, [6])])
def test_attention_loses_of_each_head_alike_or_whole_heads(heads, each, channels):
    """Two heads of six: rows of queries and keys, and of values, of both heads. Six of two: whole heads."""
    grouping = channel_groups(attention(heads, each))
    assert [group.channels for group in grouping.groups] == channels
    assert {"q.weight", "k.weight"} <= grouping.groups[0].tensors
    rows = members(grouping.groups[0])["q.weight", 0]
    of_heads, of_all = [[2 * h, 2 * h + 1] for h in range(6)], [[c, c + 6] for c in range(6)]
    assert rows == (of_heads if heads == 6 else of_all)


def test_a_channel_shuffle_carries_what_both_halves_lose():
    """Channel 2k + g of the shuffled ones is channel 4g + k of those before."""
    b = Builder("shuffle")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 8, "a")
    parted = b.op("reshape", [x], "parted", shape=(1, 2, 2, 2, 4))
    turned = b.op("transpose", [parted], "turned", perm=(0, 1, 2, 4, 3))
    y = b.op("reshape", [turned], "s", shape=(1, 2, 2, 8))
    (group,) = channel_groups(b.graph(conv(b, y, 2, "y"))).groups
    assert members(group)["a", 3] == [[k, k + 4] for k in range(4)]
    assert members(group)["s", 3] == [[2 * k, 2 * k + 1] for k in range(4)]


@pytest.mark.parametrize("channels, rows, groups, expected", [
    (6, 4, 2, {"a": 3, "y": 2}),   # of each group 3 columns and 2 rows: finer than 2 groups
    (8, 8, 8, {"a": 8}),           # as many groups as channels: a depthwise convolution
    (12, 6, 6, {"a": 6})])
def test_a_grouped_convolution_loses_in_all_groups_or_groups(channels, rows, groups, expected):
    b = Builder("grouped")
    x = conv(b, b.input("x", (1, 2, 2, 3)), channels, "a")
    y = b.op("conv2d", [x, zeros(b, rows, 1, 1, channels // groups), zeros(b, rows)], "y")
    assert found(b.graph(conv(b, y, 2, "z")))[0] == expected


def test_one_weight_in_two_ops_ties_what_both_make_and_read():
    b = Builder("shared")
    shared = [zeros(b, 5, 1, 1, 5), zeros(b, 5)]
    x = conv(b, b.input("x", (1, 2, 2, 3)), 5, "a")
    y = b.op("conv2d", [b.op("conv2d", [x, *shared], "once"), *shared], "twice")
    (group,) = channel_groups(b.graph(conv(b, y, 2, "z"))).groups
    assert {"a", "once", "twice", shared[0]} <= group.tensors and group.channels == 5
    assert (members(group)[shared[0], 0] == members(group)[shared[0], 3] == [[c] for c in range(5)])


def test_a_weight_shared_with_an_output_stays():
    b = Builder("tied")
    x = dense(b, b.input("x", (1, 3)), 4, "a")
    tied = [zeros(b, 4, 4), zeros(b, 4)]
    hidden = b.op("fully_connected", [x, *tied], "hidden")
    groups, fixed = found(b.graph(b.op("fully_connected", [hidden, *tied], "y")))
    assert groups == {}
    assert fixed["a"] == fixed["hidden"] == "y is an output of the network"


def test_two_inputs_meet_in_one_group():
    b = Builder("two inputs")
    parts = [conv(b, b.input(name, (1, 2, 2, size)), 6, f"from {name}")
             for name, size in (("x", 3), ("z", 5))]
    (group,) = channel_groups(b.graph(conv(b, b.op("add", parts, "sum"), 2, "y"))).groups
    assert {"from x.weight", "from z.weight", "y.weight"} <= group.tensors and group.channels == 6


def test_an_input_that_is_added_keeps_the_channels_but_one_that_gates_an_image_does_not():
    b = Builder("gate")
    x, gate = b.input("x", (1, 2, 2, 3)), b.input("gate", (1, 2, 2, 1))
    gated = b.op("mul", [conv(b, x, 6, "a"), gate], "gated")
    assert found(b.graph(conv(b, gated, 2, "y")))[0] == {"a": 6}


def test_channels_that_only_go_together_are_no_group():
    """Each channel is added to the next one, the last to the first."""
    b = Builder("ring")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 4, "a")
    turned = b.op("gather", [x, b.constant("next", np.array([1, 2, 3, 0]))], "turned", axis=3)
    groups, fixed = found(b.graph(conv(b, b.op("add", [x, turned], "sum"), 2, "y")))
    assert groups == {} and fixed["a"] == "its channels can only go all together"


@pytest.mark.parametrize("indices", [[0, 6], [-1, 2]])
def test_indices_that_lie_outside_join_nothing(indices):
    """As an untrusted file may have them."""
    b = Builder("outside")
    x = b.op("relu", [b.input("x", (1, 6))], "relu")
    known = b.constant("indices", np.array(indices, np.int32))
    graph = b.graph(b.op("relu", [b.op("gather", [x, known], "gather", axis=1)], "y"))
    assert channel_groups(graph).groups == ()
