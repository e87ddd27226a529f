"""When the ranges of calibration have stopped moving, and in which order samples are looked at until then."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.quantize.stability import Stability, moved, spread_order


def test_it_settles_when_no_range_has_moved_by_more_than_the_share():
    stability = Stability(share=0.01, over=32)
    assert not stability.settled(32, {"a": (0.0, 1.0), "b": (-1.0, 1.0)})
    assert not stability.settled(64, {"a": (0.0, 1.2), "b": (-1.0, 1.1)})
    assert not stability.settled(96, {"a": (-0.1, 1.2), "b": (-1.0, 1.11)})
    assert stability.settled(128, {"a": (-0.1, 1.21), "b": (-1.01, 1.12)})
    assert stability.stable
    assert stability.last == ("a", 96, pytest.approx(0.1 / 1.3))


def test_the_farthest_of_those_that_moved_last_is_named():
    stability = Stability()
    stability.settled(32, {"a": (0.0, 1.0), "b": (0.0, 1.0)})
    stability.settled(64, {"a": (0.0, 2.0), "b": (0.0, 4.0)})
    assert stability.last == ("b", 64, 0.75)
    assert Stability().last is None


def test_a_range_that_stays_constant_has_not_moved_and_one_that_becomes_a_point_has():
    assert moved((0.0, 0.0), (0.0, 0.0)) == 0
    assert moved((1.0, 1.0), (2.0, 2.0)) == 1
    assert moved((-1.0, 1.0), (-1.0, 1.5)) == 0.2


@given(count=st.integers(1, 300))
def test_the_order_is_one_of_all_samples(count):
    assert sorted(spread_order(count)) == list(range(count))


@given(count=st.integers(2, 300), first=st.integers(1, 300))
def test_any_first_samples_lie_evenly_among_all(count, first):
    """Van der Corput's sequence: the largest gap between n neighbours is below 2 / 2**floor(log2 n)."""
    first = min(first, count)
    places = np.sort(spread_order(count)[:first]) / count
    assert np.diff(places, append=1.0).max() <= 2.0 / 2 ** (first.bit_length() - 1) + 1 / count
