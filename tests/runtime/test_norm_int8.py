"""layer_norm in integers: within one code of the real one, at any scale, over any axes."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.errors import Unsupported
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams
from toolchain.runtime.norm_int8 import MOST, layer_norm, norm_integers, reciprocal_sqrt

scales = st.floats(-6, 1).map(lambda power: float(np.float32(10**power)))
zero_points = st.integers(-128, 127)
epsilons = st.sampled_from([0.0, 1e-12, 1e-6, 1e-5, 1e-3, 1.0])
layouts = st.sampled_from([
    ((1, 3, 96), (2,), (96,)), ((1, 4, 5, 8), (1, 2), (8,)), ((1, 2, 3, 4), (1, 2, 3), (1,)),
    ((1, 3, 2, 4, 6), (1, 2, 4), (1, 1, 1, 4, 6)), ((1, 7, 1), (2,), (1,)), ((1, 2, 2), (2,), (2, 2))])
"""Shape, axes, and the shape of gamma and beta: last axis, instance, all, group, a lone value, each value's
own."""


def norm(axes, epsilon: float = 1e-5):
    return make("layer_norm", ("x", "gamma", "beta"), "y", axes=axes, epsilon=epsilon)


def exact_steps(codes, quant, gamma, beta, axes, epsilon, out) -> np.ndarray:
    """Where the output lies between its codes, in float64; no spread gives beta."""
    x = (codes.astype(np.float64) - quant.zero_point) * float(quant.scale)
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    flat = variance == 0
    y = np.where(flat, 0, centred / np.sqrt(np.where(flat, 1, variance + float(np.float32(epsilon)))))
    return np.clip((y * gamma + beta) / float(out.scale) + int(out.zero_point), -128, 127)


@st.composite
def spreads(draw) -> np.ndarray:
    """Codes of one layout: all over the range, close together, or all the same but one."""
    shape, axes, parameters = draw(layouts)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    low = draw(st.integers(-128, 127))
    codes = rng.integers(low, draw(st.integers(low, 127)) + 1, shape)
    if draw(st.booleans()):
        codes[:] = low
        codes[..., 0] = draw(st.integers(-128, 127))
    gamma, beta = (rng.normal(size=parameters) * np.exp(rng.uniform(-4, 4)) for _ in "gb")
    return codes.astype(np.int8), axes, gamma.astype(np.float32), beta.astype(np.float32)


@settings(max_examples=400, deadline=None)
@given(drawn=spreads(), scale=scales, zero_point=zero_points, epsilon=epsilons,
       stretch=st.floats(-1, 1), out_zero=zero_points)
def test_within_a_code_of_the_real_one(drawn, scale, zero_point, epsilon, stretch, out_zero):
    codes, axes, gamma, beta = drawn
    reach = math.sqrt(codes.size) * np.abs(gamma).max() + np.abs(beta).max()
    quant, out = QuantParams(scale, zero_point), QuantParams(np.float32(reach / 255 * 10**stretch), out_zero)
    got = layer_norm(norm(axes, epsilon), [codes, gamma, beta], [quant, None, None], out)
    assert got.shape == codes.shape and got.dtype == np.int8
    assert np.abs(got - exact_steps(codes, quant, gamma, beta, axes, epsilon, out)).max() < 0.502


@given(value=st.integers(0, 61).flatmap(lambda bits: st.integers(1 << bits, (2 << bits) - 1)))
def test_reciprocal_sqrt(value):
    """Exact whole numbers: (r * 2**(half - 62))**2 * value is 1 within 2**-25."""
    r, half = reciprocal_sqrt(np.array([value]))
    square = int(r[0]) ** 2 * value
    one = 1 << (124 - 2 * int(half[0]))
    assert abs(square - one) < one >> 25
    assert 2**30 <= int(r[0]) <= 2**31 + 2 and 1 <= half[0] <= 31


@given(scale=scales, epsilon=epsilons, count=st.integers(1, MOST), gain=st.floats(-8, 8))
def test_integers_fit_their_words(scale, epsilon, count, gain):
    gamma = np.array([10.0**gain, -1.0])
    quant, out = QuantParams(scale, 0), QuantParams(0.02, 0)
    found = norm_integers(norm((1,), epsilon), count, quant, gamma, gamma, out)
    assert (found.gain.dtype, found.offset.dtype) == (np.int32, np.int32)
    assert 0 <= found.gain_shift <= 62 and found.lift % 2 == 0
    largest = count**2 * 2**14
    assert found.spread + (largest << found.lift if found.lift >= 0 else largest >> -found.lift) < 2**62


def test_no_spread_and_no_epsilon_is_beta():
    x = np.full((2, 5), 17, np.int8)
    parameters = [np.float32([3.0]), np.float32([0.5])]
    quants, out = [QuantParams(0.1, 3), None, None], QuantParams(0.05, -10)
    got = layer_norm(norm((1,), 0.0), [x, *parameters], quants, out)
    assert (got == 0).all()


def test_too_many_at_once():
    one = QuantParams(1, 0)
    with pytest.raises(Unsupported, match="layer_norm over 4,194,305 values at once; at most 4,194,304"):
        norm_integers(norm((1,)), MOST + 1, one, np.ones(1), np.zeros(1), one)
