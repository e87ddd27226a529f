"""Curves where a plain formula would lose digits or overflow, and arithmetic of whole numbers."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.ir.ops import make
from toolchain.runtime import pointwise_float
from toolchain.runtime.kernels_float import FLOAT

REALS = st.floats(-1e4, 1e4, width=32)


@given(x=REALS)
def test_erf(x):
    assert float(pointwise_float.erf(np.float32(x))) == pytest.approx(math.erf(x), abs=2e-7)


@given(x=REALS)
def test_softplus_neither_overflows_nor_vanishes_early(x):
    exact = x if x > 40 else math.log1p(math.exp(x))
    found = float(pointwise_float.softplus(None, np.float32(x)))
    assert found == pytest.approx(exact, rel=1e-6, abs=1e-37)


@given(values=st.lists(REALS, min_size=1, max_size=9))
def test_log_softmax_is_the_logarithm_of_softmax(values):
    x = np.array([values], np.float32)
    y = pointwise_float.log_softmax(None, x).astype(np.float64)
    assert np.exp(y).sum() == pytest.approx(1, abs=1e-5)
    assert y - y.max() == pytest.approx((x - x.max()).astype(np.float64), abs=1e-3)


@pytest.mark.parametrize("kind", ["gelu", "hard_swish", "elu", "softplus"])
def test_far_from_zero_the_activations_are_their_asymptotes(kind):
    y = FLOAT[kind](make(kind, ["x"], "y"), np.float32([-90, 90]))
    assert y == pytest.approx([-1 if kind == "elu" else 0, 90], abs=1e-6)


@given(a=st.integers(-99, 99), b=st.integers(-99, 99).filter(bool))
def test_whole_numbers_divide_as_in_c(a, b):
    found = FLOAT["div"](make("div", ["a", "b"], "y"), np.int32([a]), np.int32([b]))
    assert found.dtype == np.int32 and found == int(a / b)
