"""log_softmax in integers and the logarithm beneath it."""

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from toolchain.errors import Unsupported
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams
from toolchain.runtime import fixedpoint
from toolchain.runtime.log_softmax_int8 import FARTHEST, log_softmax, scaled_steps

OP = make("log_softmax", ("x",), "y")
OUT = QuantParams(16 / 256, 127)


@given(raw=st.integers(1 << 19, 2**31 - 1))
def test_log(raw):
    """Of 12 integer bits, to 5: within 2**-24."""
    assert abs(fixedpoint.log(np.array(raw), 12, 5) / 2**26 - np.log(raw / 2**19)) < 2**-24


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), depth=st.integers(1, 500), power=st.floats(-3, -0.5))
def test_within_a_code_of_the_real_one(seed, depth, power):
    codes = np.random.default_rng(seed).integers(-128, 128, (2, 3, depth)).astype(np.int8)
    quant = QuantParams(np.float32(10**power), 5)
    x = codes.astype(np.float64) * float(quant.scale)
    log_total = np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)) + x.max(-1, keepdims=True)
    exact = np.clip((x - log_total) * 16 + 127, -128, 127)
    radius = np.argmax(scaled_steps(quant) == FARTHEST) or 256  # beyond, TFLite gives the lowest code
    near = codes.max(-1, keepdims=True).astype(int) - codes < radius
    assert np.abs(log_softmax(OP, [codes], [quant], OUT) - exact)[near].max() <= 0.51


@given(power=st.floats(-6, 4))
def test_steps_go_down_to_the_farthest(power):
    steps = scaled_steps(QuantParams(np.float32(10**power), 0))
    assert steps[0] == 0 and (np.diff(steps) <= 0).all() and steps.min() >= FARTHEST


def test_equal_codes_share_evenly():
    got = log_softmax(OP, [np.zeros((1, 4), np.int8)], [QuantParams(0.1, 0)], OUT)
    assert got.tolist() == [[127 - round(16 * np.log(4))] * 4]


def test_the_output_has_one_scale():
    with pytest.raises(Unsupported, match="int8 log_softmax gives codes at scale 0.0625, zero point 127"):
        log_softmax(OP, [np.zeros((1, 4), np.int8)], [QuantParams(0.1, 0)], QuantParams(0.1, 0))
