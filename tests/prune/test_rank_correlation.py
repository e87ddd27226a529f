"""Rank correlations by their definitions, pair by pair, and on numbers from a textbook."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.prune.rank_correlation import agreement, kendall, spearman

LISTS = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=25)


def kendall_by_pairs(a, b):
    same = opposite = only_a = only_b = 0
    for i in range(len(a)):
        for j in range(i):
            left, right = (a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])
            same += left * right > 0
            opposite += left * right < 0
            only_a += bool(left) and not right
            only_b += bool(right) and not left
    scale = ((same + opposite + only_a) * (same + opposite + only_b)) ** 0.5
    return (same - opposite) / scale if scale else float("nan")


def rank_by_counting(values):
    return np.array([sum(v < x for v in values) + (sum(v == x for v in values) + 1) / 2 for x in values])


@settings(max_examples=100, deadline=None)
@given(LISTS)
def test_with_ties_by_definition(pairs):
    a, b = np.array(pairs, float).T
    assert kendall(a, b) == pytest.approx(kendall_by_pairs(*zip(*pairs)), nan_ok=True)
    ranks = rank_by_counting(a), rank_by_counting(b)
    if len(set(a)) > 1 and len(set(b)) > 1:
        assert spearman(a, b) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    else:
        assert np.isnan(spearman(a, b))


def test_without_ties_by_squared_differences():
    """1 - 6 sum d^2 / (n (n^2 - 1)); a and b differ by one swap of neighbours in six places."""
    a, b = np.arange(10.0), np.array([1, 0, 3, 2, 4, 5, 7, 6, 8, 9.0])
    assert spearman(a, b) == pytest.approx(1 - 6 * 6 / (10 * 99))
    assert kendall(a, b) == pytest.approx(1 - 2 * 3 / 45)


def test_only_the_order_counts():
    a = np.random.default_rng(0).standard_normal(40)
    assert spearman(a, np.exp(a)) == pytest.approx(1) and kendall(a, np.exp(a)) == pytest.approx(1)
    assert spearman(a, -a**3) == pytest.approx(-1) and kendall(a, -a**3) == pytest.approx(-1)


def test_within_groups_and_over_all():
    """Right within both groups, and the groups in the wrong order."""
    scores = [np.array([5.0, 6, 7]), np.array([1.0, 2, 3]), np.array([4.0])]
    truth = [np.array([1.0, 2, 3]), np.array([5.0, 6, 7]), np.array([4.0])]
    found = agreement(scores, truth)
    assert found.groups[:2] == (pytest.approx((1, 1)),) * 2 and np.isnan(found.groups[2]).all()
    assert found.within == pytest.approx((1, 1))
    assert found.spearman == pytest.approx(spearman(np.concatenate(scores), np.concatenate(truth)))
    assert found.spearman < 0 and found.kendall < 0


def test_nothing_to_compare():
    assert np.isnan(agreement([np.ones(3)], [np.arange(3.0)]).within).all()
