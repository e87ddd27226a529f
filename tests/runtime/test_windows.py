"""Convolutions by their definitions: groups, and what transposed ones add up."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from toolchain.runtime.windows import convolution, overlap_add, pad_spatial

SMALL = st.integers(1, 3)


def whole(rng, *shape):
    """Whole numbers in float64: sums of them are exact."""
    return rng.integers(-9, 10, shape).astype(np.float64)


@settings(deadline=None)
@given(seed=st.integers(0, 999), groups=SMALL, inputs=SMALL, outputs=SMALL, kernel=st.tuples(SMALL, SMALL))
def test_a_group_reads_its_own_channels_alone(seed, groups, inputs, outputs, kernel):
    rng = np.random.default_rng(seed)
    x = whole(rng, 2, 5, 6, groups * inputs)
    weight, attrs = whole(rng, groups * outputs, *kernel, inputs), {"stride": (2, 1), "dilation": (1, 2)}
    parts = zip(np.split(x, groups, axis=-1), np.split(weight, groups), strict=True)
    alone = np.concatenate([convolution(part, rows, attrs) for part, rows in parts], axis=-1)
    assert np.array_equal(convolution(x, weight, attrs), alone)


@settings(deadline=None)
@given(seed=st.integers(0, 999), stride=st.tuples(SMALL, SMALL), kernel=st.tuples(SMALL, SMALL),
       cut=st.tuples(*[st.integers(0, 1)] * 4))
def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(seed, stride, kernel, cut):
    """<conv(y), x> = <y, transposed(x)> for every x and y, where the convolution pads what the other cuts."""
    rng, attrs = np.random.default_rng(seed), {"stride": stride, "pads": cut}
    x, weight = whole(rng, 1, 4, 3, 2), whole(rng, 5, *kernel, 2)
    made = overlap_add(x, weight, attrs)
    y = whole(rng, *made.shape)
    there = convolution(pad_spatial(y, cut, 0), weight.transpose(3, 1, 2, 0), attrs)
    assert np.sum(there * x) == np.sum(y * made)


def test_a_pad_below_zero_adds_what_only_the_bias_reaches():
    x, weight = np.ones((1, 2, 2, 1)), np.ones((1, 2, 2, 1))
    made = overlap_add(x, weight, {"stride": (2, 2), "pads": (0, -1, -2, 0)})
    assert made.shape == (1, 5, 6, 1) and made.sum() == 16
    assert not made[:, 4].any() and not made[:, :, :2].any()
