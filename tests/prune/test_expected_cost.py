"""Between the places where a cost is known: lines, through the corners of staircases."""

import numpy as np
import pytest

from toolchain.prune.expected_cost import ExpectedCost


def looked(price, full, steps, counts):
    cost = ExpectedCost(price, full, steps)
    cost.look(np.array(counts))
    return cost


def test_a_linear_cost_is_exact_anywhere():
    cost = looked(lambda kept: 7 + 3 * kept[0] + 5 * kept[1], [16, 9], [1, 1], [4.3, 8.8])
    np.testing.assert_allclose(cost.slopes, [3, 5])
    assert cost.at(np.array([2.5, 1.5])) == pytest.approx(7 + 7.5 + 7.5)


def test_slopes_of_a_product_are_those_of_its_other_factor():
    cost = looked(lambda kept: kept[0] * kept[1], [16, 16], [1, 1], [4.2, 11.4])
    np.testing.assert_allclose(cost.slopes, [11, 4])
    assert cost.at(np.array([4.2, 11.4])) == pytest.approx(4.2 * 11.4, abs=0.2 * 0.4 + 1e-9)


@pytest.mark.parametrize("count", [3.0, 9.0, 12.9, 17.0])
def test_a_staircase_is_a_line_through_its_corners(count):
    """Steps of 8 that cost 80 each: one channel more or less would say 0 or 80."""
    cost = looked(lambda kept: 80 * -(-kept[0] // 8), [24], [8], [count])
    assert cost.at(np.array([count])) == pytest.approx(10 * count) and cost.slopes[0] == 10


def test_where_all_channels_are_no_multiple_they_are_a_corner():
    cost = looked(lambda kept: 10 * kept[0], [10], [4], [9.5])
    assert cost.corners[0].tolist() == [4, 8, 10] and cost.slopes[0] == pytest.approx(10)


def test_a_group_no_wider_than_its_step_has_no_slope():
    assert looked(lambda kept: 10 * kept[0], [6], [8], [5.0]).slopes[0] == 0
