"""Properties of the quantization arithmetic, for every value that hypothesis can think of."""

from fractions import Fraction
import math

from hypothesis import assume, given
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.ir import quant
from toolchain.ir.quant import QuantParams, activation_params, dequantize, fixed_point, quantize

INT32 = st.integers(-(2**31), 2**31 - 1)
finite = st.floats(-2.0**20, 2.0**20, width=32)
scales = st.floats(2.0**-20, 2.0**10, width=32)
params = st.builds(QuantParams, scales, st.integers(-128, 127))
dtypes = st.sampled_from(["int8", "uint8", "int16"])


def round_half_away(value: Fraction) -> int:
    return int(math.copysign(math.floor(abs(value) + Fraction(1, 2)), value))


# Parameters -------------------------------------------------------------------------------------------------

@given(low=finite, high=finite, dtype=dtypes)
def test_zero_is_exact(low, high, dtype):
    p = activation_params(min(low, high), max(low, high), dtype)
    assert dequantize(quantize(np.float32(0), p), p) == 0.0


@given(low=finite, high=finite, share=st.floats(0, 1), dtype=dtypes)
def test_what_lies_in_the_range_comes_back_within_half_a_step(low, high, share, dtype):
    low, high = min(low, high), max(low, high)
    assume(high - low > 1e-6)
    p = activation_params(low, high, dtype)
    x = np.float32(low + share * (high - low))
    error = abs(float(dequantize(quantize(x, p), p)) - float(x))
    # the zero point is rounded, which moves the ends by up to half a step; the rest is float32
    assert error <= float(p.scale) * 1.001 + abs(float(x)) * 1e-6


def test_a_range_of_zero_width_has_a_scale():
    p = activation_params(0, 0)
    assert (p.scale, int(p.zero_point)) == (1, -128)


@pytest.mark.parametrize("low, high", [(float("nan"), 1), (0, float("inf")), (2, 1)])
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match="is not finite and ordered"):
        activation_params(low, high)


@given(rows=st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=4))
def test_weights_are_symmetric_and_narrow_per_channel(rows):
    weight = np.array(rows, np.float32)
    weight[np.abs(weight) < 1e-30] = 0  # nearer to 0, a scale is no normal float32 number any more
    p = quant.weight_params(weight, axis=0)
    codes = quantize(weight, p, narrow=True)
    largest = np.abs(weight).max(axis=1)
    assert codes.min() >= -127 and not p.zero_point.any()
    assert (np.abs(codes).max(axis=1) == np.where(largest > 0, 127, 0)).all()


@pytest.mark.parametrize("scale, zero_point, axis, message", [
    (0.0, 0, None, "scale must be finite and > 0"),
    (float("nan"), 0, None, "scale must be finite and > 0"),
    (1e-50, 0, None, "scale must be finite and > 0"),
    (0.1, 128, None, r"zero_point .*128.* is outside int8 \[-128, 127\]"),
    (0.1, 2**40, None, r"zero_point .* is outside int8"),
    (0.1, np.int64(2**32), None, r"zero_point .* is outside int8"),
    (0.1, float("nan"), None, r"zero_point .* is outside int8"),
    ([0.1, 0.2], [0, 0], None, "must both be scalars"),
    ([0.1, 0.2], [0, 0, 0], 0, "must both be vectors"),
])
def test_parameters_that_mean_nothing_are_refused(scale, zero_point, axis, message):
    with pytest.raises(ValueError, match=message):
        QuantParams(scale, zero_point, axis)


def test_codes_of_an_unknown_dtype_are_refused():
    with pytest.raises(ValueError, match="codes are int2, .*uint8, int16, int32, int64; got int9"):
        QuantParams(0.1, 0, dtype="int9")


@pytest.mark.parametrize("real, code", [(3e38, 127), (-3e38, -128), (0.0, 3)])
def test_what_is_too_many_steps_away_for_float32_is_clamped(real, code):
    assert quantize(np.float32(real), QuantParams(1.2e-38, 3)) == code


# Codes ------------------------------------------------------------------------------------------------------

@given(p=params)
def test_every_code_survives_the_way_through_reals(p):
    codes = np.arange(-128, 128).astype(np.int8)
    assert np.array_equal(quantize(dequantize(codes, p), p), codes)


@given(p=params, real=st.floats(-(2.0**100), 2.0**100, width=32))
def test_quantize_rounds_the_float32_quotient_half_away_and_clamps(p, real):
    quotient = Fraction(float(np.float32(real) / p.scale))
    expected = min(max(round_half_away(quotient) + int(p.zero_point), -128), 127)
    assert quantize(np.float32(real), p) == expected


def test_each_channel_has_its_own_scale():
    p = QuantParams([0.5, 2.0], [0, 0], axis=1)
    x = np.array([[1.0, 1.0], [-3.0, 7.0]], np.float32)
    assert quantize(x, p).tolist() == [[2, 1], [-6, 4]]
    assert dequantize(quantize(x, p), p).tolist() == [[1, 2], [-3, 8]]


# Fixed point ------------------------------------------------------------------------------------------------

@given(real=st.floats(2.0**-32, 2.0**30 - 1))
def test_a_multiplier_is_normalized_and_within_half_a_unit(real):
    multiplier, shift = fixed_point(real)
    assume(multiplier)
    assert 2**30 <= multiplier < 2**31 and -31 <= shift <= 30
    assert abs(Fraction(real) - Fraction(multiplier) * Fraction(2) ** (shift - 31)) <= \
        Fraction(2) ** (shift - 32)


@pytest.mark.parametrize("real, expected", [
    (0.0, (0, 0)), (1.0, (2**30, 1)), (0.5, (2**30, 0)), (2.0**-32, (2**30, -31)), (2.0**-33, (0, 0)),
    (1 - 2.0**-40, (2**30, 1))])
def test_multipliers_at_the_edges(real, expected):
    assert fixed_point(real) == expected


@pytest.mark.parametrize("real", [-0.1, float("nan"), float("inf"), 2.0**30])
def test_a_multiplier_out_of_range_is_refused(real):
    with pytest.raises(ValueError, match="a multiplier must be"):
        fixed_point(real)


@given(reals=st.lists(st.floats(2.0**-31, 2.0**20), min_size=1, max_size=5))
def test_fixed_points_are_the_fixed_point_of_each(reals):
    assert list(zip(*quant.fixed_points(reals), strict=True)) == list(map(fixed_point, reals))


@given(a=INT32, b=INT32)
def test_the_high_half_of_a_doubled_product_rounds_to_nearest(a, b):
    product = Fraction(a * b, 2**31)
    expected = min(math.floor(product + Fraction(1, 2)), 2**31 - 1)
    # gemmlowp nudges negative products by 1 - 2**30 and truncates: half-way goes up, as for positive ones
    assert quant.doubling_high_mul(a, b) == expected


@given(value=INT32, exponent=st.integers(0, 31))
def test_dividing_by_a_power_of_two_rounds_half_away(value, exponent):
    assert quant.divide_by_power_of_two(value, exponent) == round_half_away(Fraction(value, 2**exponent))


@given(value=st.integers(-(2**24), 2**24), real=st.floats(2.0**-20, 2.0**5))
def test_requantize_is_the_real_product_within_its_two_roundings(value, real):
    multiplier, shift = fixed_point(real)
    found = quant.requantize(value, multiplier, shift)
    exact = Fraction(value) * multiplier * Fraction(2) ** (shift - 31)
    assert abs(int(found) - exact) <= Fraction(1, 2) + Fraction(1, 2) ** (1 + max(-shift, 0))


@given(values=st.lists(INT32, min_size=1, max_size=4), real=st.floats(2.0**-30, 1))
def test_requantize_takes_arrays(values, real):
    pair = fixed_point(real)
    assert quant.requantize(values, *pair).tolist() == [int(quant.requantize(v, *pair)) for v in values]


def test_the_clamp_at_the_smallest_scale():
    assert quant.clamp_range("relu6", activation_params(0, 1e-38)) == (-128, 127)


@given(p=params, activation=st.sampled_from([None, "relu", "relu6"]))
def test_the_clamp_is_the_codes_of_the_activations_ends(p, activation):
    low, high = quant.clamp_range(activation, p)
    ends = {None: (-1e30, 1e30), "relu": (0, 1e30), "relu6": (0, 6)}[activation]
    assert (low, high) == tuple(int(quantize(np.float32(end), p)) for end in ends)
