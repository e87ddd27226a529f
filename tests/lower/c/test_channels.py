"""What rooms ask of a channel: the range of its sums, one step between two codes; zeros to whole groups."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.lower.c.channels import Channel, filled, sum_range


@given(weight=st.lists(st.integers(-128, 127), min_size=1, max_size=4),
       codes=st.lists(st.sampled_from([-128, -1, 0, 127]), min_size=4, max_size=4))
def test_no_codes_make_a_sum_beyond_its_range(weight, codes):
    (least,), (most,) = sum_range(np.array([weight], np.int8))
    total = sum(w * code for w, code in zip(weight, codes))
    assert least <= total <= most
    assert {least, most} <= {sum(w * (end if w > 0 else -1 - end) for w in weight) for end in (-128, 127)}


def channel(bias: int, multiplier: int, shift: int, least: int, most: int) -> Channel:
    return Channel(bias, multiplier, shift, 3, -128, 127, least, most)


@given(bias=st.integers(-(2**20), 2**20), multiplier=st.integers(2**30, 2**31 - 1),
       shift=st.integers(-20, -8), least=st.integers(-400, 0), most=st.integers(0, 400))
def test_a_step_is_where_the_code_rises(bias, multiplier, shift, least, most):
    found = channel(bias, multiplier, shift, least, most)
    codes = [found.code(total) for total in range(least, most + 1)]
    if codes[-1] - codes[0] > 1:
        assert found.step() is None
    else:
        assert found.step() == (least + codes.index(codes[-1]), codes[-1])


@pytest.mark.parametrize(("shift", "wraps"), [(0, False), (15, False), (16, True)])
def test_what_leaves_32_bits(shift, wraps):
    assert channel(2**15, 2**30, shift, -(2**15), 2**15 - 1).wraps() == wraps


def test_zeros_to_whole_groups():
    assert filled(np.ones((3, 2, 5)), 2, 2).shape == (4, 2, 5)
    assert filled(np.ones((3, 2, 5)), 1, 4).shape == (3, 4, 5)
    assert filled(np.array([1, 2, 3]), 4).tolist() == [1, 2, 3, 0]
