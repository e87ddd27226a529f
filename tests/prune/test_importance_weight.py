"""Criteria of weights by brute force: the weights of each channel gathered one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from tests.prune.nets import RandomNet
from toolchain.errors import BadInput
from toolchain.ir.build import Builder
from toolchain.prune import importance_weight as criteria
from toolchain.prune.groups import channel_groups


def gathered(graph, group):
    """(channels, weights of each), float64: rows, columns and filters of all constants called weight."""
    weights = {op.inputs[1] for op in graph.ops if op.kind in ("conv2d", "depthwise_conv2d",
                                                               "transpose_conv2d", "fully_connected")}
    parts = [[] for _ in range(group.channels)]
    for member in group.members:
        if member.tensor in weights:
            for index, channel in zip(member.index, member.channel):
                values = graph.tensors[member.tensor].data.take(index, member.axis)
                parts[channel] += values.astype(np.float64).ravel().tolist()
    return np.array(parts)


def lamp_of(squares):
    return [value / squares[squares >= value].sum() for value in squares]


EXPECTED = {
    "l1": lambda w: np.abs(w).sum(1),
    "l2": lambda w: np.linalg.norm(w, axis=1),
    "lamp": lambda w: lamp_of(np.square(w).sum(1)),
    "geometric_median": lambda w: [sum(np.linalg.norm(a - b) for b in w) for a in w],
}


@pytest.mark.parametrize("name", EXPECTED)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(0, 5))
def test_by_brute_force(name, seed, blocks):
    graph = RandomNet(seed).graph(blocks)
    groups = channel_groups(graph).groups
    for group, scores in zip(groups, getattr(criteria, name)(graph, groups), strict=True):
        np.testing.assert_allclose(scores, EXPECTED[name](gathered(graph, group)), rtol=1e-6)


def dense(rows, columns, norms=()):
    """fc (2 -> n), batch norms with these scales, fc (n -> 1): one group of n channels."""
    b, count = Builder("tiny"), len(rows)

    def constant(values):
        return b.constant("c", np.asarray(values, np.float32))
    h = b.op("fully_connected", [b.input("x", (1, 2)), constant(rows), constant([9] * count)], "h")
    for gamma in norms:
        parts = gamma, [7] * count, [5] * count, [2] * count
        h = b.op("batch_norm", [h, *map(constant, parts)], "bn", epsilon=1e-3)
    return b.op("fully_connected", [h, constant([columns]), constant([0])], "y"), b


def scored(criterion, *args, **kwargs):
    y, b = dense(*args, **kwargs)
    graph = b.graph(y)
    (scores,) = criterion(graph, channel_groups(graph).groups)
    return scores


ROWS, COLUMNS = [[3, 4], [0, 1], [-2, 0]], [0, -2, 2]


def test_by_hand():
    """Rows and columns count, biases do not: squares 25, 5, 8."""
    np.testing.assert_allclose(scored(criteria.l1, ROWS, COLUMNS), [7, 3, 4])
    np.testing.assert_allclose(scored(criteria.l2, ROWS, COLUMNS), np.sqrt([25, 5, 8]))
    np.testing.assert_allclose(scored(criteria.lamp, ROWS, COLUMNS), [1, 5 / 38, 8 / 33])
    near = np.sqrt([9 + 9 + 4, 25 + 16 + 4, 4 + 1 + 16])  # 0 to 1, 0 to 2, 1 to 2
    np.testing.assert_allclose(scored(criteria.geometric_median, ROWS, COLUMNS),
                               [near[0] + near[1], near[0] + near[2], near[1] + near[2]])


def test_equal_channels_have_equal_lamp_scores_and_zeros_have_none():
    rows = [[1, 0], [1, 0], [0, 0]]
    np.testing.assert_allclose(scored(criteria.lamp, rows, [0, 0, 0]), [0.5, 0.5, 0])


def test_channels_without_a_weight_are_where_the_median_is():
    """Two that point either way are farther from all others than one at 0."""
    scores = scored(criteria.geometric_median, [[2, 0], [-2, 0], [0, 0]], [0, 0, 0])
    np.testing.assert_allclose(scores, [6, 6, 4])


def test_batch_norms_of_a_channel_are_averaged():
    np.testing.assert_allclose(scored(criteria.batch_norm, ROWS, COLUMNS, [[1, -2, 0], [3, 4, 0]]), [2, 3, 0])


def test_a_group_without_batch_norm_has_its_norms():
    net = RandomNet(0)
    x = net.plain(net.x)
    x = net.build.op("mean", [net.conv(x, 6)], "m", axes=(1, 2))
    graph = net.build.graph(net.build.op("fully_connected", [x, net.constant(2, 6), net.constant(2)], "y"))
    groups = channel_groups(graph).groups
    with_norm, without = criteria.batch_norm(graph, groups)
    gamma = next(op.inputs[1] for op in graph.ops if op.kind == "batch_norm")
    np.testing.assert_allclose(with_norm, np.abs(graph.tensors[gamma].data))
    np.testing.assert_array_equal(without, criteria.l2(graph, groups)[1])


def test_a_network_without_batch_norm_says_so():
    with pytest.raises(BadInput, match='tiny: importance "batch_norm" looks .* use "l2"'):
        scored(criteria.batch_norm, ROWS, COLUMNS)


def test_random_is_the_seed_alone():
    graph = RandomNet(0).graph(3)
    groups = channel_groups(graph).groups
    first, again, other = (np.concatenate(criteria.random(graph, groups, None, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all() and first.min() >= 0 and first.max() < 1
