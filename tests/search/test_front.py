"""Points that no other is better than, and what they are worth."""

from itertools import combinations
import time

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.search.front import contributions, dominates, front, hypervolume, ranked


def points_of(figures: int, most: int = 7):
    """Of few values, so that ties and equal points are common."""
    return st.lists(st.tuples(*[st.integers(0, 6).map(float)] * figures), max_size=most)


SETS = st.integers(1, 3).flatmap(points_of)


def union_of_boxes(points, reference) -> float:
    """By inclusion and exclusion: what some boxes share is the box from their worst corner."""
    total = 0.0
    for count in range(1, len(points) + 1):
        for some in combinations(points, count):
            corner = np.max(some, axis=0)
            total -= (-1) ** count * np.prod(np.maximum(np.asarray(reference) - corner, 0))
    return float(total)


def test_to_dominate_is_to_be_nowhere_worse_and_somewhere_better():
    assert dominates((1, 2), (1, 3)) and not dominates((1, 3), (1, 2))
    assert not dominates((1, 2), (1, 2)) and not dominates((1, 3), (2, 2))


@given(SETS)
def test_the_front_is_what_nothing_dominates_and_each_point_once(points):
    found = front(points)
    expected = {point for point in points if not any(dominates(other, point) for other in points)}
    assert {points[number] for number in found} == expected and len(found) == len(expected)
    assert [points[number] for number in found] == sorted(expected)
    assert all(number == points.index(points[number]) for number in found)


@given(SETS)
def test_the_hypervolume_is_that_of_the_union_of_boxes(points):
    reference = (5.0,) * (len(points[0]) if points else 2)
    assert hypervolume(points, reference) == pytest.approx(union_of_boxes(points, reference), abs=1e-9)


@pytest.mark.parametrize("figures", [2, 3])
def test_the_hypervolume_is_the_share_of_darts_that_hit(figures):
    random = np.random.default_rng(0)
    points, darts = random.random((12, figures)), random.random((200_000, figures))
    hit = np.any([(darts >= point).all(axis=1) for point in points], axis=0)
    assert hypervolume(points, [1.0] * figures) == pytest.approx(hit.mean(), abs=0.005)


def test_what_lies_at_or_beyond_the_reference_adds_nothing():
    assert hypervolume([(1.0, 1.0)], (3.0, 2.0)) == 2.0
    assert hypervolume([(1.0, 1.0), (0.0, 2.0), (5.0, 0.0)], (3.0, 2.0)) == 2.0
    assert hypervolume([], (3.0, 2.0)) == 0.0
    with pytest.raises(ValueError):
        hypervolume([(1.0,)], (3.0, 2.0))


@given(SETS)
def test_a_contribution_is_what_goes_with_the_point(points):
    reference = (5.0,) * (len(points[0]) if points else 2)
    found = contributions(points, reference)
    assert len(found) == len(points) and all(share >= -1e-9 for share in found)
    best = {points[number] for number in front(points)}
    for point, share in zip(points, found):
        if share > 1e-9:
            assert point in best and points.count(point) == 1


@given(SETS)
def test_ranked_puts_every_front_before_the_next(points):
    order = ranked(points, len(points))
    assert all(ranked(points, count) == order[:count] for count in range(len(points)))
    assert sorted(order) == list(range(len(points)))
    for place, number in enumerate(order):
        assert not any(dominates(points[later], points[number]) for later in order[place:])


def test_within_a_front_the_larger_contribution_is_first_whatever_the_units():
    """The ends of a front reach to the reference alone; of two in the middle the one closer to it adds less.
    """
    points = np.array([(0.0, 10.0), (1.0, 6.0), (2.0, 5.9), (10.0, 0.0)])
    assert ranked(points.tolist(), 4)[-1] in (1, 2)
    assert ranked(points.tolist(), 4) == ranked((points * [1e6, 1e-3]).tolist(), 4)


def plainly_ranked(points, count) -> list[int]:
    """By the definitions, point by point."""
    low, span = np.min(points, axis=0), np.ptp(points, axis=0)
    scaled = ((points - low) / np.where(span > 0, span, 1)).tolist()
    left, order = list(range(len(points))), []
    while left and len(order) < count:
        best = [number for place, number in enumerate(left)
                if not any(dominates(scaled[other], scaled[number]) for other in left)
                and scaled[number] not in [scaled[other] for other in left[:place]]]
        whole = hypervolume([scaled[number] for number in best], [1.1] * len(low))
        shares = {number: whole - hypervolume([scaled[other] for other in best if other != number],
                                              [1.1] * len(low)) for number in best}
        order += sorted(best, key=lambda number: (-shares[number], number))
        left = [number for number in left if number not in best]
    return order[:count]


@given(st.integers(0, 2**32 - 1), st.integers(2, 3), st.integers(1, 40), st.sampled_from([1, 1e6]))
def test_ranked_is_what_the_definitions_say(seed, figures, count, unit):
    """Of points on curves, so that fronts are long, and with some that are the same."""
    random = np.random.default_rng(seed)
    points = random.random((24, figures))
    points[:, 0] = unit * ((1 - points[:, 1]) ** 2 + random.choice([0, 0.2, 0.4], 24))
    points = np.concatenate([points, points[:4]])
    assert ranked(points.tolist(), count) == plainly_ranked(points, count)


def test_parents_of_ten_thousand_points_are_found_at_once():
    random = np.random.default_rng(0)
    share = random.random(10_000)
    points = np.stack([1 - share, share**2 + random.choice([0, 0.01], 10_000)], axis=1).tolist()
    began = time.process_time()
    assert len(ranked(points, 8)) == 8 and len(front(points)) > 3000
    assert time.process_time() - began < 1
