"""Weights and biases in codes, with the channels that need a repair."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from toolchain.ir.graph import constant
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, dequantize
from toolchain.quantize.weights import BIAS_LIMIT, quantize_weights

X = QuantParams(0.02, -3)
DENSE = make("fully_connected", ("x", "w", "b"), "y")


def quantized(weight, bias, x=X, op=DENSE):
    return quantize_weights(op, x, constant("w", np.asarray(weight, np.float32)),
                            constant("b", np.asarray(bias, np.float32)))


def reals(low: float, high: float):
    """float32 of ordinary size."""
    return st.floats(low, high, width=32, allow_subnormal=False)


matrices = arrays(np.float32, (4, 3), elements=reals(-10, 10))
biases = arrays(np.float32, 4, elements=reals(-100, 100))


@pytest.mark.parametrize("kind, shape, axis", [
    ("conv2d", (4, 3, 3, 2), 0), ("depthwise_conv2d", (1, 3, 3, 4), 3), ("fully_connected", (4, 6), 0)])
def test_weights_are_symmetric_per_output_channel_and_narrow(kind, shape, axis):
    gains = (10.0 ** np.arange(4)).reshape([4 if i == axis else 1 for i in range(len(shape))])
    weight = np.random.default_rng(0).normal(size=shape) * gains
    codes, bias = quantized(weight, np.ones(4), op=make(kind, ("x", "w", "b"), "y"))
    others = tuple(i for i in range(len(shape)) if i != axis)
    assert codes.quant.axis == axis and codes.data.dtype == np.int8 and not codes.quant.zero_point.any()
    assert np.abs(codes.data).max(axis=others).tolist() == [127] * 4
    assert np.allclose(codes.quant.scale, np.abs(weight).max(axis=others) / 127, rtol=1e-6)
    assert bias.quant.axis == 0 and bias.data.dtype == np.int32


@given(matrices, biases, reals(2**-20, 2**10))
def test_codes_are_within_half_a_step_and_bias_scale_is_the_product(weight, bias, x_scale):
    x = QuantParams(x_scale, 0)
    w, b = quantized(weight, bias, x)
    assert np.all(np.abs(dequantize(w.data, w.quant) - weight) <= w.quant.scale[:, None] * 0.5001)
    assert np.allclose(b.quant.scale, np.float64(x.scale) * w.quant.scale, rtol=1e-6)
    error = np.abs(b.data * b.quant.scale.astype(np.float64) - bias)
    assert np.all(error <= b.quant.scale * 0.51 + 1e-6 * abs(bias))
    assert np.abs(b.data).max() <= BIAS_LIMIT["int8"] * (1 + 2**-22)


def test_only_the_channel_whose_bias_would_overflow_has_its_scale_raised():
    w, b = quantized([[1e-6, -1e-6], [0.5, 0.25]], [7.0, 7.0])
    assert dequantize(b.data, b.quant) == pytest.approx([7.0, 7.0], rel=1e-6)
    assert abs(int(b.data[0])) == pytest.approx(BIAS_LIMIT["int8"], rel=1e-6)
    assert w.quant.scale[0] == pytest.approx(7.0 / BIAS_LIMIT["int8"] / 0.02, rel=1e-5)
    assert w.data[0].tolist() == [3, -3]
    assert w.quant.scale[1] == np.float32(0.5 / 127)


def test_an_all_zero_channel_tells_its_bias_as_finely_as_its_neighbours():
    w, b = quantized([[0.0, 0.0], [0.5, 0.1], [0.2, 0.1]], [0.0301, 1.0, 1.0], QuantParams(1.0, 0))
    assert w.quant.scale[0] == w.quant.scale[1] and not w.data[0].any()
    assert dequantize(b.data, b.quant)[0] == pytest.approx(0.0301, abs=0.5 * 0.5 / 127)


def test_a_layer_of_zeros_gets_scale_one():
    w, b = quantized(np.zeros((3, 2)), [0.0, 1.0, -50.0])
    assert w.quant.scale.tolist() == [1, 1, 1] and not w.data.any()
    assert dequantize(b.data, b.quant) == pytest.approx([0, 1, -50])


def test_scales_never_vanish():
    w, b = quantized([[1e-42, 0.0], [1.0, 0.0]], [0.0, 0.0], QuantParams(1e-6, 0))
    assert np.all(w.quant.scale > 0) and np.all(b.quant.scale >= np.finfo(np.float32).tiny)


def test_known_parameters_are_taken_and_raised_only_where_the_bias_needs_room():
    known = QuantParams(np.float32([1e-9, 0.05]), [0, 0], 0, "int4")
    weight, bias = constant("w", np.float32([[1e-6, -1e-6], [0.5, 0.2]])), constant("b", np.float32([7, 7]))
    w, b = quantize_weights(DENSE, X, weight, bias, "int4", known)
    assert w.quant.dtype == "int4" and w.quant.scale[1] == np.float32(0.05)
    assert w.quant.scale[0] == pytest.approx(7.0 / BIAS_LIMIT["int8"] / 0.02, rel=1e-5)
    assert w.data[1].tolist() == [7, 4] and dequantize(b.data, b.quant) == pytest.approx([7, 7], rel=1e-6)
