"""Digits of a reshape, by brute force: what has one value of a digit before has it behind."""

from math import prod

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.ir.digits import digits, ways

SIZES = st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)


@st.composite
def pairs(draw):
    """Two shapes of one size: the factors of the first, regrouped."""
    old, factors = tuple(draw(SIZES)), []
    for size in old:
        factors += {1: [], 4: [2, 2], 6: draw(st.sampled_from([[2, 3], [3, 2]]))}.get(size, [size])
    factors = draw(st.permutations(factors)) if draw(st.booleans()) else factors
    new = [1]
    for factor in factors:
        new.append(factor)
        if draw(st.booleans()):
            new[-2:] = [new[-2] * new[-1]]
    return old, tuple(new)


@settings(max_examples=200, deadline=None)
@given(pairs())
def test_values_of_a_digit_go_together(case):
    """Without one value of the digit on both sides, the reshape still hands the rest on in order."""
    old, new = case
    values = np.arange(prod(old)).reshape(old)
    for digit in digits(old, new):
        before, after = digit.joined()
        assert digit.size > 1 and set(before) == set(range(old[digit.old.axis]))
        assert set(after) == set(range(new[digit.new.axis]))
        gone = np.arange(digit.old.length) // digit.old.step % digit.size == 1
        also = np.zeros(digit.new.length, bool)
        also[after[gone[before]]] = True
        left = np.compress(~gone, values, digit.old.axis)
        expected = np.compress(~also, values.reshape(new), digit.new.axis)
        assert left.ravel().tolist() == expected.ravel().tolist()


@pytest.mark.parametrize("old, new, expected", [
    ((1, 4, 5, 6), (1, 120), [[(3, 1)], [(2, 1)], [(1, 1)]]),
    ((1, 4, 12), (1, 4, 3, 4), [[(2, 3)], [(2, 2)], [(1, 1)]]),
    ((1, 4, 6), (1, 8, 3), [[(2, 2), (1, 1)], [(2, 1)]]),
    ((6, 4), (4, 6), []),
    ((1, 5), (5,), [[(1, 0)]]),
    ((), (1,), []),
])
def test_ways_by_hand(old, new, expected):
    """(axis before, axis behind) of the digits that can lose values at once."""
    found = [[(d.old.axis, d.new.axis) for d in way] for run in ways(digits(old, new)) for way in run]
    assert found == expected
