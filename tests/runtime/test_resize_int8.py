"""resize_bilinear's ten fraction bits: where rows come from, and what lies beyond the border."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.errors import Unsupported
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams
from toolchain.runtime.resize_int8 import ONE, neighbours, resize_bilinear

CORNERS = [{"align_corners": False, "half_pixel_centers": False},
           {"align_corners": True, "half_pixel_centers": False},
           {"align_corners": False, "half_pixel_centers": True}]
UNIT = QuantParams(0.1, 3)


def resize(codes, size, attrs, out=UNIT):
    return resize_bilinear(make("resize_bilinear", ("x",), "y", size=size, **attrs), [codes], [UNIT], out)


@given(size=st.integers(1, 2000), old=st.integers(1, 300), attrs=st.sampled_from(CORNERS))
def test_rows_stay_within_the_input(size, old, attrs):
    low, high, share = neighbours(size, old, attrs)
    assert len(low) == len(high) == len(share) == size
    assert low.min() >= 0 and high.max() <= old - 1 and (high - low <= 1).all() and (np.diff(low) >= 0).all()
    assert (0 <= share).all() and (share < ONE).all()


@given(size=st.integers(1, 64), old=st.integers(1, 64), attrs=st.sampled_from(CORNERS))
def test_rows_are_the_real_ones_within_the_rounding_of_the_step(size, old, attrs):
    low, _, share = neighbours(size, old, attrs)
    step = (old - 1) / (size - 1) if attrs["align_corners"] and size > 1 else old / size
    start = step / 2 - 0.5 if attrs["half_pixel_centers"] else 0
    real = np.clip(np.arange(size) * step + start, 0, old - 1)
    assert np.abs(low + share / ONE - real).max() <= (size + 2) / 2 / ONE


@pytest.mark.parametrize("attrs", CORNERS)
def test_the_same_size_is_the_same_image(attrs):
    codes = np.random.default_rng(0).integers(-128, 128, (2, 5, 7, 3)).astype(np.int8)
    assert np.array_equal(resize(codes, (5, 7), attrs), codes)


def test_halves_go_away_from_zero():
    codes = np.int8([[[[1], [2]], [[1], [2]]], [[[-1], [-2]], [[-1], [-2]]]])
    assert resize(codes, (2, 3), CORNERS[1])[:, 0, 1, 0].tolist() == [2, -2]


def test_codes_keep_their_meaning():
    with pytest.raises(Unsupported, match="hands codes on"):
        resize(np.zeros((1, 2, 2, 1), np.int8), (4, 4), CORNERS[0], QuantParams(0.2, 3))
