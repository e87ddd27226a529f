"""What goes: the limit holds, counts are multiples, and no choice of counts is much better."""

from itertools import product
import re

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.errors import BadInput
from toolchain.prune.cost import CHANNELS, MACS, PARAMETERS, Cost, Limit
from toolchain.prune.cut import kept_elements, sliced
from toolchain.prune.groups import channel_groups
from toolchain.prune.select import SCOPES, least_counts, select
from toolchain.prune.widths import Price, Widths

SEEDS = st.integers(0, 2**32 - 1)


def net(seed, blocks):
    """(graph, groups, seeded scores of very different sizes)."""
    graph = RandomNet(seed).graph(blocks)
    groups, rng = channel_groups(graph).groups, np.random.default_rng(seed)
    return graph, groups, [rng.lognormal(0, 2, group.channels) for group in groups]


def chain(*outputs):
    """1x1 convolutions one after the other, and its groups."""
    random = RandomNet(0)
    x = random.x
    for count in outputs:
        x = random.conv(x, count)
    graph = random.build.graph(random.conv(x, 3))
    return graph, channel_groups(graph).groups


def counts(groups, gone):
    return [group.channels - len(gone.get(number, ())) for number, group in enumerate(groups)]


def total(scores, gone):
    return sum(float(scores[number][channels].sum()) for number, channels in gone.items())


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, blocks=st.integers(0, 6), share=st.floats(0.2, 1), step=st.integers(1, 6),
       cost=st.sampled_from([MACS, PARAMETERS, CHANNELS]), scope=st.sampled_from(sorted(SCOPES)))
def test_the_limit_holds_in_multiples(seed, blocks, share, step, cost, scope):
    """A limit between what the narrowest network costs and what the whole one does."""
    graph, groups, scores = net(seed, blocks)
    widths, steps = Widths(graph, groups), [step] * len(groups)
    price, least = Price(widths, cost), least_counts(widths.full, steps)
    low, high = price.at(least), price.at(widths.full)
    limit = low + share * (high - low)
    gone = select(widths, scores, [Limit(cost, limit)], steps, scope)
    kept = counts(groups, gone)
    assert price.at(kept) <= limit * (1 + 1e-12)
    for group, count, few in zip(groups, kept, least):
        assert few <= count and (count % step == 0 or count == group.channels)
    cuts = [(groups[number], channels) for number, channels in gone.items()]
    if cost is not CHANNELS:
        assert cost.of(sliced(graph, kept_elements(graph, cuts))) == price.at(kept)
    for number, channels in gone.items():
        stays = np.delete(scores[number], channels)
        assert scores[number][channels].max() <= stays.min()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, share=st.floats(0.3, 0.95), step=st.integers(1, 2), data=st.data())
def test_no_counts_are_much_better(seed, share, step, data):
    """Against every combination of counts: what goes has at most half as much score again as it must."""
    graph, groups = chain(*data.draw(st.lists(st.integers(3, 8), min_size=2, max_size=3)))
    rng, widths = np.random.default_rng(seed), Widths(graph, groups)
    scores = [rng.uniform(0.1, 1, group.channels) for group in groups]
    least, price = least_counts(widths.full, [step] * len(groups)), Price(widths, MACS)
    limit = max(price.at(least), share * price.at(widths.full))
    sums = [np.append(0, np.cumsum(np.sort(score))) for score in scores]
    legal = [[count for count in range(few, full + 1) if count % step == 0 or count == full]
             for few, full in zip(least, widths.full)]
    best = min(sum(s[full - count] for s, full, count in zip(sums, widths.full, kept))
               for kept in product(*legal) if price.at(kept) <= limit)
    gone = select(widths, scores, [Limit(MACS, limit)], [step] * len(groups), "global")
    assert total(scores, gone) <= 1.5 * best


def test_layers_lose_the_same_share():
    graph, groups = chain(16, 24, 32)
    widths = Widths(graph, groups)
    scores = [np.full(group.channels, 10.0**number) for number, group in enumerate(groups)]
    gone = select(widths, scores, [Limit(CHANNELS, 0.75 * 72)], [1] * 3, "layer")
    assert counts(groups, gone) == [12, 18, 24]
    assert counts(groups, select(widths, scores, [Limit(CHANNELS, 60)], [1] * 3, "global")) == [4, 24, 32]


def test_what_saves_more_goes_first():
    """Of equal scores, the channels of the wider neighbours."""
    graph, groups = chain(8, 8, 64)
    widths = Widths(graph, groups)
    price = Price(widths, MACS)
    scores = [np.ones(group.channels) for group in groups]
    gone = select(widths, scores, [Limit(MACS, 0.91 * price.at(widths.full))], [1] * 3, "global")
    assert counts(groups, gone) == [8, 7, 64]


def test_scores_without_a_unit_are_ranked_as_they_are():
    """Half as high in a group that saves a sixth: by cost the dear group goes first."""
    graph, groups = chain(8, 8, 64)
    widths = Widths(graph, groups)
    price = Price(widths, MACS)
    scores = [np.full(8, 1.0), np.full(8, 2.0), np.full(64, 2.0)]
    limits = [Limit(MACS, 0.96 * price.at(widths.full))]
    kept = [counts(groups, select(widths, scores, limits, [1] * 3, "global", by_cost=by_cost))
            for by_cost in (False, True)]
    assert kept == [[5, 8, 64], [8, 7, 64]]


def test_bundles_that_save_nothing_alone_go_together():
    """A kernel that works in fours: costs fall only at multiples of 4."""
    graph, groups = chain(12)
    stairs = Cost("stairs", "blocks", of_op=lambda op, inputs, output: -(-output[-1] // 4))
    gone = select(Widths(graph, groups), [np.arange(12.0)], [Limit(stairs, 3)], [1], "global")
    assert gone[0].tolist() == [0, 1, 2, 3]


def test_what_need_not_go_comes_back():
    """The cheap channel goes first by the ratio, then the dear one reaches the limit alone."""
    graph, groups = chain(2, 16)
    first, second = Widths(graph, groups).full
    weight = {first: 1.0, first - 1: 0.0, second: 10.0, second - 1: 0.0}
    cost = Cost("weights", "points", of_op=lambda op, inputs, output: weight.get(output[-1], 0.0))
    scores = [np.array([0.01, 9.0]), np.array([1.0, *[9.0] * 15])]
    gone = select(Widths(graph, groups), scores, [Limit(cost, 1.0)], [1, 1], "global")
    assert {number: channels.tolist() for number, channels in gone.items()} == {1: [0]}


def test_least_counts():
    assert least_counts([100, 16, 16, 10, 3, 1], [1, 4, 16, 4, 4, 1]) == [10, 4, 16, 4, 3, 1]
    assert least_counts([100, 10], [8, 1], share=0.3) == [32, 3]
    assert least_counts([100, 10], [8, 1], share=0.0) == [8, 1]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_limit_out_of_reach_is_told_with_what_is_reached(scope):
    graph, groups = chain(8, 3)
    widths = Widths(graph, groups)
    told = ("random: a budget of 100 multiply-accumulates cannot be reached: with as few channels as may "
            "be, 540 of 2,052 stay, 0 of them where no channel can go; each group keeps a tenth of its "
            "channels, 1 of 2 stay whole for what they are a multiple of. Raise the limit, or set [prune] "
            "channel_multiple")
    with pytest.raises(BadInput, match=re.escape(told)):
        select(widths, [np.ones(8), np.ones(3)], [Limit(MACS, 100)], [1, 4], scope)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_network_without_groups(scope):
    widths = Widths(chain()[0], ())
    assert select(widths, [], [Limit(MACS, 324)], [], scope) == {}
    with pytest.raises(BadInput, match="no channel can go; `edge prune --explain` says why"):
        select(widths, [], [Limit(MACS, 323)], [], scope)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, by_cost=st.booleans())
def test_losses_that_fall_go_and_do_not_come_back(seed, by_cost):
    """Scores below zero, as a measured change of the loss can be."""
    graph, groups = chain(6, 9, 5)
    rng, widths = np.random.default_rng(seed), Widths(graph, groups)
    scores, price = [rng.normal(0, 1, group.channels) for group in groups], Price(widths, MACS)
    limits = [Limit(MACS, 0.3 * price.at(widths.full))]
    gone = select(widths, scores, limits, [1] * 3, "global", by_cost=by_cost)
    kept = counts(groups, gone)
    assert price.at(kept) <= 0.3 * price.at(widths.full) and min(kept) >= 1


def test_nothing_need_go():
    graph, groups = chain(8, 3)
    for scope in SCOPES:
        scores = [np.ones(8), np.ones(3)]
        assert select(Widths(graph, groups), scores, [Limit(MACS, 2052)], [1, 1], scope) == {}


def test_least_given():
    graph, groups = chain(8, 8)
    widths = Widths(graph, groups)
    gone = select(widths, [np.ones(8), np.ones(8)], [Limit(CHANNELS, 11)], [1, 1], "global", least=[7, 4])
    assert counts(groups, gone) == [7, 4]


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, blocks=st.integers(0, 6), shares=st.tuples(st.floats(0.2, 1), st.floats(0.2, 1)),
       scope=st.sampled_from(sorted(SCOPES)), by_cost=st.booleans())
def test_all_limits_hold_and_no_bundle_goes_for_nothing(seed, blocks, shares, scope, by_cost):
    """Of two limits; without the bundle that matters most in its group, one of them would not hold."""
    graph, groups, scores = net(seed, blocks)
    widths, steps = Widths(graph, groups), [1] * len(groups)
    prices, least = [Price(widths, cost) for cost in (MACS, PARAMETERS)], least_counts(widths.full, steps)
    limits = [Limit(price.cost, price.at(least) + share * (price.at(widths.full) - price.at(least)))
              for price, share in zip(prices, shares)]
    gone = select(widths, scores, limits, steps, scope, by_cost=by_cost)
    kept = counts(groups, gone)
    assert all(price.at(kept) <= limit.most * (1 + 1e-12) for price, limit in zip(prices, limits))
    if scope != "layer":
        for number in gone:
            more = [count + (group == number) for group, count in enumerate(kept)]
            assert any(price.at(more) > limit.most for price, limit in zip(prices, limits))


def test_of_two_limits_each_channel_counts_for_what_is_still_exceeded():
    """The first group saves multiply-accumulates, the second one parameters too, of another cost."""
    graph, groups = chain(16, 4)
    widths, scores = Widths(graph, groups), [np.ones(16), np.ones(4)]
    dear = Cost("time", "us", of_op=lambda op, inputs, out: float(out[-1]) if out[-1] <= 4 else 0.0)
    macs, time = Price(widths, MACS), Price(widths, dear)
    few = Limit(MACS, 0.8 * macs.at(widths.full))
    quick = Limit(dear, time.at([16, 2]))
    alone = counts(groups, select(widths, scores, [few], [1, 1], "global"))
    both = counts(groups, select(widths, scores, [few, quick], [1, 1], "global"))
    assert alone[1] > 2 and both[1] == 2 and both[0] > alone[0]
