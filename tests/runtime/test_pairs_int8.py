"""prelu and div on every pair of codes: what the exact quotient or product rounds to."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np

from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, clamp_range
from toolchain.runtime.pairs_int8 import div, prelu

scales = st.floats(-2, 1).map(lambda power: float(np.float32(10**power)))
zero_points = st.integers(-128, 127)
params = st.builds(QuantParams, scales, zero_points)
EVERY = np.arange(-128, 128).astype(np.int8)
A, B = EVERY[:, None], EVERY[None]


def reals(codes, quant: QuantParams) -> np.ndarray:
    return (codes.astype(np.float64) - int(quant.zero_point)) * float(quant.scale)


@settings(max_examples=40, deadline=None)
@given(a=params, b=params, out=params, activation=st.sampled_from([None, "relu", "relu6"]))
def test_div_is_the_quotient_within_a_code(a, b, out, activation):
    op = make("div", ("a", "b"), "y", activation=activation)
    got, divisor = div(op, [A, B], [a, b], out), reals(B, b)
    exact = reals(A, a) / np.where(divisor == 0, np.nan, divisor) / float(out.scale) + int(out.zero_point)
    apart = np.abs(got - np.clip(exact, *clamp_range(activation, out)))
    assert np.nanmax(apart) <= 0.51


@given(a=params, b=params, out=params)
def test_div_by_zero_saturates(a, b, out):
    got = div(make("div", ("a", "b"), "y"), [EVERY, np.int8([int(b.zero_point)])], [a, b], out)
    signs = np.sign(EVERY.astype(int) - int(a.zero_point))
    assert np.array_equal(got, np.choose(signs + 1, [-128, int(out.zero_point), 127]))


def test_quotients_beyond_32_bits_saturate():
    a, b, out = QuantParams(100.0, 0), QuantParams(1e-3, 0), QuantParams(1e-3, 5)
    got = div(make("div", ("a", "b"), "y"), [np.int8([127, -127, 1]), np.int8([1, 1, -1])], [a, b], out)
    assert got.tolist() == [127, -128, -128]


def test_quotients_far_below_a_step_are_zero():
    a, b, out = QuantParams(1e-6, 0), QuantParams(10.0, 0), QuantParams(10.0, -7)
    assert div(make("div", ("a", "b"), "y"), [A, np.int8([[127]])], [a, b], out).tolist() == [[-7]] * 256


@settings(max_examples=40, deadline=None)
@given(x=params, alpha=params, out=params)
def test_prelu_is_the_product_within_a_code(x, alpha, out):
    """The first of two roundings moves the second by a quarter of a code at most."""
    got, real = prelu(make("prelu", ("x", "alpha"), "y"), [A, B], [x, alpha], out), reals(A, x)
    exact = np.where(real >= 0, real, real * reals(B, alpha)) / float(out.scale) + int(out.zero_point)
    assert np.abs(got - np.clip(exact, -128, 127)).max() <= 0.76


def test_operands_broadcast():
    x, alpha = np.zeros((1, 4, 5, 3), np.int8), np.zeros(3, np.int8)
    one = QuantParams(1, 0)
    assert prelu(make("prelu", ("x", "alpha"), "y"), [x, alpha], [one, one], one).shape == x.shape
