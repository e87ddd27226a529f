"""Thresholds: what a bound leads to by counting, the cheapest within a loss, the surest within a cost."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.adaptive.threshold import Seen, outcome, within_cost, within_drop
from toolchain.errors import GateFailed
from toolchain.policy import ONE

COSTS = {1: (20.0, 120.0), 2: (20.0, 60.0, 110.0)}


def seen(n: int = 400, stages: int = 1, seed: int = 0, skill: float = 1.0) -> Seen:
    """Early stages that are wrong where they are not sure; the last is right nine times of ten."""
    random = np.random.default_rng(seed)
    doubts = [random.uniform(ONE, 4 * ONE, n).astype(np.int64) for _ in range(stages)]
    hits = [random.random(n) < 1 - (doubt / ONE - 1) / 3 * skill for doubt in doubts]
    return Seen(doubts, [*hits, random.random(n) < 0.9], COSTS[stages], 100.0, "instructions")


@given(st.integers(1, 2), st.integers(0, 5 * ONE), st.integers(0, 5))
def test_an_outcome_is_what_counting_says(stages, bound, seed):
    given = seen(60, stages, seed)
    path = [next((k for k, d in enumerate(given.doubts) if d[i] <= bound), stages) for i in range(60)]
    hits = [given.hits[k][i] for i, k in enumerate(path)]
    found = outcome(given, bound)
    assert found.n == 60 and found.accuracy == pytest.approx(np.mean(hits))
    assert found.shares == pytest.approx([path.count(k) / 60 for k in range(stages + 1)])
    assert found.cost == pytest.approx(np.mean([given.costs[k] for k in path]) / 100)
    lost = 100 * (given.hits[-1].astype(float) - hits)
    assert found.drop == pytest.approx(lost.mean())
    assert found.drop_error == pytest.approx(lost.std(ddof=1) / np.sqrt(60))
    costs = np.array([given.costs[k] for k in path]) / 100
    assert found.cost_error == pytest.approx(costs.std(ddof=1) / np.sqrt(60))


@pytest.mark.parametrize("stages", [1, 2])
def test_no_cheaper_bound_keeps_within_the_loss(stages):
    given = seen(400, stages)
    found = within_drop(given, 2.0)
    assert max(found.drop, 0) + found.drop_error <= 2.0 and found.cost < 1
    for bound in range(0, 4 * ONE, ONE // 50):
        other = outcome(given, bound)
        assert other.cost >= found.cost or other.upper_drop > 2.0
    assert found.threshold == ONE / found.bound


@pytest.mark.parametrize("stages", [1, 2])
def test_the_surest_within_a_cost(stages):
    given = seen(400, stages)
    found = within_cost(given, 0.7)
    assert found.cost + found.cost_error <= 0.7
    assert all(outcome(given, bound).upper_cost > 0.7 for bound in range(0, found.bound, ONE // 50))


def test_a_gain_by_luck_pays_for_no_loss():
    """Six wins and five losses are not lossless."""
    doubts, right = np.arange(1, 101) + ONE, np.ones(100, bool)
    early, last = right.copy(), right.copy()
    last[:6], early[50:55] = False, False
    found = within_drop(Seen([doubts], [early, last], (10.0, 110.0), 100.0, "MACs"), 2.5)
    assert found.upper_drop <= 2.5 and found.drop < 0 and found.shares[0] < 0.51


def test_a_loss_that_cannot_be_met():
    told = (r"no threshold loses at most 0 points, standard error included, and takes fewer instructions .* "
            r"nearest: .* points lost at 0\.\d+ ± 0\.\d+x the cost")
    with pytest.raises(GateFailed, match=told):
        within_drop(seen(200, skill=3.0), 0.0)


def test_a_cost_that_cannot_be_met():
    told = "no threshold takes at most 0.1 of the instructions .* standard error included; " \
           "nearest: .* at 0.200 ± 0.000x the cost"
    with pytest.raises(GateFailed, match=told):
        within_cost(seen(), 0.1)
