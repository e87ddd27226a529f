"""[prune] shares: each group says itself how much of it goes."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.errors import BadConfig
from toolchain.prune.groups import channel_groups
from toolchain.prune.prune import Aim, Pruned, cut_to, grouping_of, shares_of
from toolchain.prune.select import least_counts, select_shares
from toolchain.recipe import PruneConfig
from toolchain.runtime import reference


def chain(*outputs):
    """1x1 convolutions one after the other: conv.0, conv.1, ..."""
    random = RandomNet(0)
    x = random.x
    for count in outputs:
        x = random.conv(x, count)
    return random.build.graph(random.conv(x, 3))


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=5), step=st.integers(1, 8), data=st.data())
def test_the_least_important_go_to_the_nearest_multiple(counts, step, data):
    rng = np.random.default_rng(len(counts))
    scores = [rng.permutation(count).astype(float) for count in counts]
    shares = [data.draw(st.floats(0, 0.99)) for _ in counts]
    steps = [step] * len(counts)
    least = [min(few, count) for few, count in zip(least_counts(counts, steps), counts)]
    gone = select_shares(scores, shares, steps, least, counts)
    for number, (count, share) in enumerate(zip(counts, shares)):
        went = gone.get(number, np.array([], int))
        assert sorted(scores[number][went]) == list(range(len(went))) and (np.diff(went) > 0).all()
        legal = [0, *(count - kept for kept in range(least[number], count) if kept % step == 0)]
        assert len(went) in legal
        assert abs(len(went) - share * count) == min(abs(end - share * count) for end in legal)
    assert all(len(channels) for channels in gone.values())


@settings(max_examples=60, deadline=None)
@given(full=st.integers(2, 64), step=st.integers(1, 8), first=st.floats(0, 0.99), share=st.floats(0, 0.99))
def test_shares_leave_as_many_channels_by_way_of_other_shares(full, step, first, share):
    def kept(now, wanted) -> int:
        gone = select_shares([np.arange(now)], [wanted], [step], least_counts([full], [step]), [full])
        return now - len(gone.get(0, ()))

    assert kept(kept(full, first), share) == min(kept(full, first), kept(full, share))


def test_a_group_that_was_cut_to_one_channel_may_still_be_named():
    graph = cut_to(chain(20, 4), PruneConfig(shares={"*": 0.75}), Aim(()))
    before = {group.name: group.channels for group in channel_groups(chain(20, 4)).groups}
    gone = next(name for name in before if name not in {group.name for group in channel_groups(graph).groups})
    config = PruneConfig(shares={name: 0.75 for name in before})
    assert cut_to(graph, config, Aim((), channels=before)).parameters == graph.parameters
    with pytest.raises(BadConfig, match=f'shares = "{gone}" names nothing'):
        cut_to(graph, config, Aim(()))


def test_each_group_is_cut_by_its_share_and_others_stay():
    graph = chain(20, 10, 8)
    names = [group.name for group in channel_groups(graph).groups]
    config = PruneConfig(shares={names[0]: 0.5, names[2]: 0.25})
    smaller = cut_to(graph, config, Aim(()))
    grouping = grouping_of(graph, config)
    kept = {cut.name: cut.kept for cut in Pruned.of(graph, grouping, [1, 1, 1], smaller).groups}
    assert kept == {names[0]: 10, names[1]: 10, names[2]: 6}
    feeds = {n: np.ones((2, *graph.tensors[n].shape[1:]), np.float32) for n in smaller.inputs}
    assert reference.run(smaller, feeds)[smaller.outputs[0]].shape[0] == 2


def test_of_patterns_the_first_that_names_a_group_counts():
    graph = chain(20, 10, 8)
    groups = channel_groups(graph).groups
    config = PruneConfig(shares={groups[1].name: 0.1, "*": 0.6})
    assert shares_of(graph, groups, config) == [0.6, 0.1, 0.6]
    reverse = PruneConfig(shares={"*": 0.6, f"{groups[1].name}*": 0.1})
    assert shares_of(graph, groups, reverse) == [0.6] * 3


def test_kept_groups_stay_whatever_a_pattern_says():
    graph = chain(20, 10)
    first = channel_groups(graph).groups[0].name
    config = PruneConfig(shares={"*": 0.5}, keep=(first,))
    smaller = cut_to(graph, config, Aim(()))
    assert [group.channels for group in channel_groups(smaller).groups] == [20, 5]


def test_a_share_of_nothing_leaves_the_network_as_it_is():
    graph = chain(20, 10)
    smaller = cut_to(graph, PruneConfig(shares={"*": 0.0}), Aim(()))
    assert smaller.parameters == graph.parameters


def test_a_pattern_that_names_nothing_is_refused():
    with pytest.raises(BadConfig, match=r'\[prune\] shares = "tail\*" names nothing in .*; `edge prune --ex'):
        cut_to(chain(8), PruneConfig(shares={"tail*": 0.5}), Aim(()))


@pytest.mark.parametrize("given, told", [
    ({"ratio": 0.5}, "ratio"), ({"ram": "64kB"}, "ram"), ({"macs": 0.5, "flash": 0.5}, "macs, flash"),
    ({"scope": "layer"}, "scope"), ({"schedule": "iterative"}, "schedule"), ({"blocks": True}, "blocks")])
def test_beside_shares_nothing_else_says_how_much_goes(given, told):
    with pytest.raises(BadConfig, match=rf"shares say how much goes of each group, where {told} would do n"):
        PruneConfig(shares={"a": 0.5}, **given)


def test_neither_budget_nor_shares_is_refused():
    with pytest.raises(BadConfig, match="has no budget"):
        PruneConfig()


def test_a_group_s_own_name_counts_before_patterns_of_its_ops():
    graph = chain(20, 10, 8)
    groups = channel_groups(graph).groups
    config = PruneConfig(shares={"*": 0.6, groups[1].name: 0.1})
    assert shares_of(graph, groups, config) == [0.6, 0.1, 0.6]


def test_an_op_whose_channels_all_stay_has_no_share():
    graph = chain(20, 10, 8)
    output = graph.outputs[0]
    with pytest.raises(BadConfig, match=f'shares = "{output}" names nothing in .* whose channels can go'):
        shares_of(graph, channel_groups(graph).groups, PruneConfig(shares={output: 0.5}))
