"""The 32-bit curves stay within their published precision of the real functions, and keep their shape."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.runtime import fixedpoint

ULP = 2.0**-31
Q0, INT32 = st.integers(0, 2**31 - 1), st.integers(-(2**31), 2**31 - 1)


@pytest.mark.parametrize("integer_bits", [0, 4, 5])
@given(raw=st.integers(-(2**31), 0))
def test_exp_is_within_a_part_in_a_million(integer_bits, raw):
    real = np.exp(raw * 2.0 ** (integer_bits - 31))
    assert abs(fixedpoint.exp_on_negative_values(raw, integer_bits) * ULP - real) < 1e-6


@given(raw=Q0)
def test_one_over_one_plus_is_within_eight_units(raw):
    assert abs(int(fixedpoint.one_over_one_plus(raw)) - 2**31 / (1 + raw * ULP)) <= 8


@given(raw=st.integers(1, 2**31 - 1))
def test_reciprocal(raw):
    inverse, bits = fixedpoint.reciprocal(raw, 12)
    assert float(inverse) * 2.0 ** (-31 - float(bits)) == pytest.approx(1 / (raw * 2.0**-19), rel=1e-8)


@given(value=st.integers(1, 2**29 - 1))
def test_inverse_sqrt(value):
    inverse, bits = fixedpoint.inverse_sqrt(np.array([value]))
    assert float(inverse[0]) * 2.0 ** (-31 - float(bits[0])) == pytest.approx(value**-0.5, rel=2e-6)


@given(raw=INT32)
def test_logistic_is_within_a_part_in_a_million(raw):
    assert abs(fixedpoint.logistic(raw, 4) * ULP - 1 / (1 + np.exp(-raw * 2.0**-27))) < 1e-6


@given(raw=INT32)
def test_tanh_is_within_two_parts_in_a_million(raw):
    assert abs(fixedpoint.tanh(raw, 4) * ULP - np.tanh(raw * 2.0**-27)) < 2e-6


@given(raw=st.integers(1, 2**31 - 1))
def test_the_curves_are_symmetric(raw):
    assert fixedpoint.tanh(-raw, 4) == -fixedpoint.tanh(raw, 4)
    assert fixedpoint.logistic(raw, 4) + fixedpoint.logistic(-raw, 4) == fixedpoint.ONE


def test_the_curves_at_zero():
    assert fixedpoint.exp_on_negative_values(0, 5) == fixedpoint.ONE
    assert fixedpoint.logistic(0, 4) == 2**30
    assert fixedpoint.tanh(0, 4) == 0


@given(raw=INT32, bits=st.integers(1, 12))
def test_rescale_saturates_to_the_left_and_rounds_to_the_right(raw, bits):
    assert fixedpoint.rescale(raw, bits) == min(max(raw << bits, -(2**31)), 2**31 - 1)
    assert abs(fixedpoint.rescale(raw, -bits) - raw / 2**bits) <= 0.5
