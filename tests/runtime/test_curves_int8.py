"""Tables of 256 codes: near the real curve, in order where it rises, and defined where it is not."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, activation_params, dequantize
from toolchain.runtime.kernels_float import FLOAT
from toolchain.runtime.kernels_int8 import INT8

EVERY = np.arange(-128, 128).astype(np.int8)
SCALES = st.floats(2**-8, 2**-4, width=32)
POSITIVE = {"log", "sqrt", "rsqrt"}
CODES = {"sqrt": 1.001, "hard_swish": 1.1}
"""Codes that a kernel may be off: sqrt rounds down, hard_swish has 16 bits."""


def table(kind, x: QuantParams, out: QuantParams, **attrs) -> np.ndarray:
    return INT8[kind](make(kind, ["x"], "y", **attrs), [EVERY], [x], out)


@pytest.mark.parametrize("kind", ["elu", "gelu", "hard_swish", "softplus", "abs", "neg", "exp", "log", "sqrt",
                                  "rsqrt"])
@settings(deadline=None, max_examples=40)
@given(scale=SCALES, zero_point=st.integers(-128, 110))
def test_every_code_is_that_of_the_real_curve(kind, scale, zero_point):
    x, op = QuantParams(scale, -128 if kind in POSITIVE else zero_point), make(kind, ["x"], "y")
    reals = dequantize(EVERY, x)
    y = FLOAT[kind](op, np.maximum(reals, scale) if kind in POSITIVE else reals)
    out = activation_params(float(y.min()), float(y.max()))
    inside = reals > 0 if kind in POSITIVE else reals == reals
    apart = np.abs(dequantize(table(kind, x, out), out) - y)[inside]
    assert apart.max() <= CODES.get(kind, 0.51) * float(out.scale)


@pytest.mark.parametrize("kind", ["exp", "log", "sqrt", "softplus", "elu"])
@given(scale=SCALES, zero_point=st.integers(-128, 127), out_scale=SCALES)
def test_what_rises_keeps_its_order(kind, scale, zero_point, out_scale):
    """Also over codes that have no logarithm or root, which get what 0 gets or less."""
    found = table(kind, QuantParams(scale, zero_point), QuantParams(out_scale, 0)).astype(int)
    assert (np.diff(found) >= 0).all()


def test_what_has_no_value_gets_an_outermost_code():
    half = QuantParams(0.5, 0)
    assert (table("log", half, half)[:129] == -128).all()
    assert (table("sqrt", half, half)[:129] == 0).all()
    assert (table("rsqrt", half, half)[:129] == 127).all()
    assert (table("exp", QuantParams(10.0, 0), half)[-100:] == 127).all()


@given(exponent=st.sampled_from([2.0, 3.0, 0.5, -1.0, 1.7]), scale=SCALES)
def test_powers_of_one_exponent(exponent, scale):
    x, step = QuantParams(scale, -128), QuantParams(abs(exponent) / 255, -128 if exponent > 0 else 127)
    code = np.array([127 if exponent > 0 else -128], np.int8)
    y = np.power(dequantize(EVERY[1:], x).astype(np.float64), exponent)
    out = activation_params(0, float(y.max()))
    found = INT8["pow"](make("pow", ["x", "k"], "y"), [EVERY[1:], code], [x, step], out)
    assert np.abs(dequantize(found, out) - y).max() <= 0.51 * float(out.scale)


@given(value=st.integers(1, 255))
def test_the_negative_of_the_negative_is_the_code_itself(value):
    scale = QuantParams(value / 1000, 0)
    negative = table("neg", scale, scale)
    assert negative.tolist() == [127, *range(127, -128, -1)]
