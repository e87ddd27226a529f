"""Student's t against printed tables (Abramowitz & Stegun 1964, table 26.10)."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from toolchain.device.latency.student import probability, quantile


@pytest.mark.parametrize("degrees, at_95, at_99", [
    (1, 12.706, 63.657), (2, 4.303, 9.925), (3, 3.182, 5.841), (4, 2.776, 4.604), (7, 2.365, 3.499),
    (9, 2.262, 3.250), (10, 2.228, 3.169), (30, 2.042, 2.750), (120, 1.980, 2.617)])
def test_the_table(degrees, at_95, at_99):
    assert quantile(0.95, degrees) == pytest.approx(at_95, abs=6e-4)
    assert quantile(0.99, degrees) == pytest.approx(at_99, abs=6e-4)


@given(share=st.floats(0.01, 0.999), degrees=st.integers(1, 400))
def test_the_quantile_is_where_the_probability_says(share, degrees):
    assert probability(quantile(share, degrees), degrees) == pytest.approx(share, abs=1e-9)
