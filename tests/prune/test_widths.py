"""Sizes and costs without slicing are those of the sliced graph."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.ir.ops import graph_macs
from toolchain.prune.cost import CHANNELS, MACS, PARAMETERS
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.prune.widths import Price, Widths

NETS = {"seed": st.integers(0, 2**32 - 1), "blocks": st.integers(0, 7)}


def random_cut(groups, seed, least=1):
    """(what each group keeps, the channels that go)."""
    rng = np.random.default_rng(seed)
    counts = [int(rng.integers(min(least, group.channels), group.channels + 1)) for group in groups]
    gone = [rng.permutation(group.channels)[kept:] for group, kept in zip(groups, counts)]
    return counts, gone


@settings(max_examples=60, deadline=None)
@given(**NETS)
def test_shapes_and_costs_are_those_of_any_cut(seed, blocks):
    graph = RandomNet(seed).graph(blocks)
    groups = channel_groups(graph).groups
    kept, gone = random_cut(groups, seed)
    smaller, widths = sliced(graph, kept_elements(graph, list(zip(groups, gone)))), Widths(graph, groups)
    assert widths.shapes(kept) == {name: tensor.shape for name, tensor in smaller.tensors.items()}
    assert Price(widths, MACS).at(kept) == MACS.of(smaller) == graph_macs(smaller)
    assert Price(widths, PARAMETERS).at(kept) == PARAMETERS.of(smaller) == smaller.parameters
    assert Price(widths, CHANNELS).at(kept) == CHANNELS.of(graph, groups) - sum(map(len, gone))


@settings(max_examples=30, deadline=None)
@given(**NETS, cost=st.sampled_from([MACS, PARAMETERS, CHANNELS]))
def test_what_a_group_changes_is_what_the_whole_changes(seed, blocks, cost):
    graph = RandomNet(seed).graph(blocks)
    groups = channel_groups(graph).groups
    price, (kept, _) = Price(Widths(graph, groups), cost), random_cut(groups, seed)
    for number, group in enumerate(groups):
        other = [*kept[:number], group.channels, *kept[number + 1:]]
        difference = price.of_group(number, other) - price.of_group(number, kept)
        assert difference == pytest.approx(price.at(other) - price.at(kept))


def test_groups_are_near_where_they_share_an_op():
    """Each convolution of a chain reads what the one before makes."""
    net = RandomNet(0)
    x = net.x
    for outputs in (4, 5, 6, 7):
        x = net.conv(x, outputs)
    graph = net.build.graph(net.conv(x, 3))
    widths = Widths(graph, channel_groups(graph).groups)
    assert widths.full == (4, 5, 6, 7)
    assert widths.near == [[0, 1], [0, 1, 2], [1, 2, 3], [2, 3]]
    assert widths.touched == [[0, 1], [1, 2], [2, 3], [3, 4]]
