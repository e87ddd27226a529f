"""Numbers of a channel's short way to its codes: where there are some, they make the long way's codes."""

from hypothesis import example, given
from hypothesis import strategies as st
import numpy as np

from toolchain.lower.c.call import Array
from toolchain.lower.c.channels import channels_of
from toolchain.lower.c.short_output import short_output

biases = st.integers(-(2**31), 2**31 - 1) | st.integers(-(2**16), 2**16)
multipliers = st.integers(2**30, 2**31 - 1) | st.just(0)
weights = st.lists(st.integers(-128, 127), min_size=1, max_size=6)
codes = st.integers(-128, 127)


def portable(bias: int, multiplier: int, shift: int, zero_point: int, ends: list[int]) -> dict:
    """tk_output_s8_params of one channel. ends: codes"""
    return {"bias": Array("bias", np.array([bias], np.int32)),
            "shift": Array("shift", np.array([shift], np.int8)),
            "multiplier": Array("multiplier", np.array([multiplier], np.int32)), "zero_point": zero_point,
            "low": ends[0] - zero_point, "high": ends[1] - zero_point}


def short_code(output: dict, total: int) -> int:
    """tk_output_s8_scalar.h in Python's integers."""
    bias, multiplier, right = (int(output[role].data[0]) for role in ("bias", "multiplier", "right"))
    assert abs(total + bias) < 2**30
    value = ((total + bias) * (multiplier + 2**32) + 2**31) >> 32
    assert -(2**31) <= value + (output["offset"] << (right - 1)) < 2**31
    value = value - (total + bias < 0) + (output["offset"] << (right - 1))
    return min(max(value >> right, output["low"]), output["high"])


@given(weight=weights, bias=biases, multiplier=multipliers, shift=st.integers(-31, 30), zero_point=codes,
       ends=st.tuples(codes, codes).map(sorted), choice=st.randoms(use_true_random=False))
@example(weight=[1], bias=2**30, multiplier=2**30, shift=-31, zero_point=-128, ends=[-128, 127], choice=None)
@example(weight=[127], bias=-64, multiplier=0, shift=0, zero_point=5, ends=[-128, 127], choice=None)
def test_codes(weight, bias, multiplier, shift, zero_point, ends, choice):
    output = portable(bias, multiplier, shift, zero_point, ends)
    rows = np.array([weight], np.int8)
    short, (channel,) = short_output(output, rows), channels_of(rows, output)
    if short is None:
        return
    picked = [choice.randint(channel.least, channel.most) for _ in range(20)] if choice else []
    for total in (channel.least, channel.least + 1, 0, channel.most - 1, channel.most, *picked):
        if channel.least <= total <= channel.most:
            assert short_code(short, total) == channel.code(total)


def test_a_channel_with_next_to_no_weights_has_a_short_way():
    """As MobileNets have them: a bias of 2**30 and a shift beyond what the short way takes."""
    output = portable(2**30, 2**30 + 5, -27, -128, [-128, 127])
    assert short_output(output, np.array([[0, 1, -1]], np.int8)) is not None
