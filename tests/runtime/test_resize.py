"""Where resized pixels come from, against TFLite's formulas worked out one by one in float32."""

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.runtime.resize import nearest, neighbours

SIZES = st.integers(1, 300)
CONVENTIONS = [{"align_corners": corners, "half_pixel_centers": half}
               for corners, half in ((False, False), (True, False), (False, True))]


def place(index: int, size: int, old: int, attrs, half) -> np.float32:
    """Index of the output on the input's grid, before rounding."""
    corners = attrs["align_corners"] and size > 1
    step = np.float32(old - 1) / np.float32(size - 1) if corners else np.float32(old) / np.float32(size)
    return (np.float32(index) + np.float32(half)) * step


@pytest.mark.parametrize("attrs", CONVENTIONS)
@given(size=SIZES, old=SIZES)
def test_nearest_is_get_nearest_neighbor(attrs, size, old):
    half = 0.5 if attrs["half_pixel_centers"] else 0.0
    exact = [float(place(i, size, old, attrs, half)) for i in range(size)]
    rounded = [math.floor(v + 0.5) if attrs["align_corners"] else math.floor(v) for v in exact]
    assert nearest(size, old, attrs).tolist() == [max(min(v, old - 1), 0) for v in rounded]


@pytest.mark.parametrize("attrs", CONVENTIONS)
@given(size=SIZES, old=SIZES)
def test_bilinear_weighs_the_two_rows_around_the_place(attrs, size, old):
    low, high, share = neighbours(size, old, attrs)
    assert low.min() >= 0 and high.max() <= old - 1 and np.isin(high - low, (0, 1)).all()
    half = 0.5 if attrs["half_pixel_centers"] else 0.0
    exact = np.array([place(i, size, old, attrs, half) for i in range(size)]) - np.float32(half)
    between = low + np.where(high > low, share, 0)
    assert between == pytest.approx(np.clip(exact, 0, old - 1), abs=1e-4)


@pytest.mark.parametrize("attrs", CONVENTIONS)
@given(size=SIZES)
def test_the_same_size_changes_nothing(attrs, size):
    low, _, share = neighbours(size, size, attrs)
    assert nearest(size, size, attrs).tolist() == low.tolist() == list(range(size)) and not share.any()
