"""A cut, by hand: which elements stay, and what attributes that count elements become."""

import numpy as np

from toolchain.ir.build import Builder
from toolchain.ir.check import check
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups


def zeros(b, *shape):
    return b.constant("c", np.zeros(shape, np.float32))


def conv(b, x, count, name):
    return b.op("conv2d", [x, zeros(b, count, 1, 1, b.tensors[x].shape[-1]), zeros(b, count)], name)


def cut(graph, **gone):
    """The graph without these channels of the groups of these names."""
    groups = {group.name: group for group in channel_groups(graph).groups}
    kept = kept_elements(graph, [(groups[name], np.array(channels)) for name, channels in gone.items()])
    return check(sliced(graph, kept), "FLOAT")


def test_a_shortcut_that_pads_its_channels_pads_fewer():
    """Channels 0..1 and 6 of the sum are padding, the others the stem's."""
    b = Builder("padded")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 4, "stem")
    padded = b.op("pad", [x], "pad", pads=((0, 0), (0, 0), (0, 0), (2, 1)))
    graph = b.graph(conv(b, b.op("add", [padded, conv(b, x, 7, "inner")], "sum"), 2, "y"))
    groups = {group.name: group.channels for group in channel_groups(graph).groups}
    assert groups == {"stem": 4, "pad": 3}
    smaller = cut(graph, stem=[3], pad=[0])
    assert smaller.producers["pad"].attrs["pads"] == ((0, 0), (0, 0), (0, 0), (1, 1))
    assert smaller.tensors["sum"].shape == (1, 2, 2, 5)


def test_a_slice_begins_and_ends_among_what_stays():
    b = Builder("sliced")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 8, "stem")
    part = b.op("slice", [x], "part", begin=(0, 0, 0, 2), end=(1, 2, 2, 6), strides=(1, 1, 1, 1))
    graph = b.graph(conv(b, part, 2, "y"))
    inside, outside = sorted(channel_groups(graph).groups, key=lambda group: -len(group.members))
    kept = kept_elements(graph, [(inside, np.array([0])), (outside, np.array([0, 2]))])
    smaller = check(sliced(graph, kept), "FLOAT")  # channels 2, 0 and 6 go
    op = smaller.producers["part"]
    assert (op.attrs["begin"], op.attrs["end"]) == ((0, 0, 0, 1), (1, 2, 2, 4))
    assert smaller.tensors["stem"].shape[-1] == 5


def test_a_gather_picks_what_stays():
    """Channels in the order 3, 0, 2, 1: without 2, what was 3 is 2."""
    b = Builder("shuffled")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 4, "stem")
    picked = b.op("gather", [x, b.constant("order", np.array([3, 0, 2, 1]))], "picked", axis=3)
    smaller = cut(b.graph(conv(b, picked, 2, "y")), stem=[2])
    assert smaller.tensors["order"].data.tolist() == [2, 0, 1]


def test_indices_that_two_gathers_share_stay():
    b = Builder("shared order")
    order, x = b.constant("order", np.array([1, 0])), b.input("x", (1, 2, 2, 3))
    first, second = (b.op("gather", [conv(b, x, 2, name), order], "picked", axis=3) for name in "ab")
    grouping = channel_groups(b.graph(conv(b, first, 2, "y"), conv(b, second, 2, "z")))
    assert grouping.groups == () and "its indices count along them" in grouping.fixed["a"]


def test_a_reshape_names_what_stays():
    b = Builder("parted")
    x = conv(b, b.input("x", (1, 2, 2, 3)), 6, "stem")
    parted = b.op("reshape", [x], "parted", shape=(1, 4, 2, 3))
    normed = b.op("layer_norm", [parted, zeros(b, 2, 3), zeros(b, 2, 3)], "norm", axes=(1, 3), epsilon=1e-3)
    graph = b.graph(conv(b, b.op("reshape", [normed], "merged", shape=(1, 2, 2, 6)), 2, "y"))
    smaller = cut(graph, stem=[1])
    assert smaller.producers["parted"].attrs["shape"] == (1, 4, 1, 3)
    assert smaller.producers["merged"].attrs["shape"] == (1, 2, 2, 3)
