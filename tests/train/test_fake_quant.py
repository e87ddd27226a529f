"""Fake quantization gives the reals of the very codes, and the gradients that the papers say."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest
import torch

from toolchain.ir import quant
from toolchain.ir.quant import RANGE, QuantParams, dequantize, quantize, weight_params
from toolchain.train.fake_quant import Straight, fake_quantized, round_half_away

finite = st.floats(-2.0**20, 2.0**20, width=32)
values = arrays(np.float32, (3, 5), elements=finite)
scales = st.floats(2.0**-20, 2.0**10, width=32)


def scale_of(params):
    return torch.from_numpy(params.scale)


@given(x=arrays(np.float32, 20, elements=st.floats(-2.0**30, 2.0**30, width=32)))
def test_halves_are_rounded_away_from_zero(x):
    x = np.concatenate([x, np.trunc(x % 1000) + np.float32(0.5), np.nextafter(np.float32([0.5, -0.5]), 0)])
    np.testing.assert_array_equal(round_half_away(torch.from_numpy(x)).numpy(), quant.round_half_away(x))


@given(x=values, scale=scales, zero_point=st.integers(-128, 127), dtype=st.sampled_from(["int8", "int16"]))
def test_an_activation_is_what_its_codes_stand_for(x, scale, zero_point, dtype):
    params = QuantParams(scale, zero_point, dtype=dtype)
    found = fake_quantized(torch.from_numpy(x), params, scale_of(params), 1)
    assert found.numpy().tobytes() == dequantize(quantize(x, params), params).tobytes()


@given(x=values, axis=st.sampled_from([None, 0, 1]), dtype=st.sampled_from(["int8", "int4"]))
def test_a_weight_is_what_its_codes_stand_for(x, axis, dtype):
    params = weight_params(x, axis, dtype)
    found = fake_quantized(torch.from_numpy(x), params, scale_of(params), 1, narrow=True)
    assert found.numpy().tobytes() == dequantize(quantize(x, params, narrow=True), params).tobytes()


@given(sums=arrays(np.int64, 30, elements=st.integers(-2**20, 2**20)),
       real=st.floats(2.0**-12, 0.9), zero_point=st.integers(-128, 127))
def test_two_roundings_are_those_of_a_requantization(sums, real, zero_point):
    """But for sums whose scaled value float32 puts on the other side of a half."""
    multiplier, shift = quant.fixed_point(real)
    exact = sums * (multiplier * 2.0 ** (shift - 31))
    part = 2.0 ** max(-shift, 0)
    near = np.abs(exact * part - np.floor(exact * part) - 0.5) < 1e-3 * np.maximum(1, np.abs(exact))
    params = QuantParams(1.0, zero_point)
    found = fake_quantized(torch.from_numpy(exact.astype(np.float32)), params, torch.tensor(1.0), 1,
                           parts=torch.tensor(part, dtype=torch.float32)).numpy() + zero_point
    expected = np.clip(quant.requantize(sums, multiplier, shift) + zero_point, -128, 127)
    assert (near | (found == expected)).all()


# Gradients --------------------------------------------------------------------------------------------------

def lsq(x: np.ndarray, upstream: np.ndarray, params: QuantParams, count: int) -> tuple[np.ndarray, float]:
    """By Esser et al. 2020, equations 3 to 5, with a zero point: gradients by x and by the scale."""
    low, high = (bound - int(params.zero_point) for bound in RANGE[params.dtype])
    steps = x.astype(np.float64) / float(params.scale)
    by_scale = np.where(steps <= low, low, np.where(steps >= high, high, np.rint(steps) - steps))
    inside = (low < steps) & (steps < high)
    return upstream * inside, (upstream * by_scale).sum() / np.sqrt(count * max(-low, high))


def gradients(x: np.ndarray, upstream: np.ndarray, params: QuantParams, count: int):
    real, scale = torch.tensor(x, requires_grad=True), torch.tensor(params.scale, requires_grad=True)
    fake_quantized(real, params, scale, count).backward(torch.tensor(upstream))
    return real.grad.numpy(), scale.grad.numpy()


def drawn(seed: int, params: QuantParams):
    """Reals on both sides of the range, none within half a step of its ends; and a gradient for each."""
    rng = np.random.default_rng(seed)
    low, high = (float(params.scale) * (bound - int(params.zero_point)) for bound in RANGE[params.dtype])
    x = rng.uniform(low - (high - low) / 2, high + (high - low) / 2, 500).astype(np.float32)
    x = x[np.minimum(np.abs(x - low), np.abs(x - high)) > 0.6 * float(params.scale)]
    return x, rng.normal(size=x.shape).astype(np.float32)


CASES = [QuantParams(0.1, 0, dtype="int4"), QuantParams(0.02, -128), QuantParams(0.5, 17),
         QuantParams(1e-3, 0, dtype="int16")]


@pytest.mark.parametrize("params", CASES, ids=lambda params: f"{params.dtype}_{params.zero_point}")
def test_the_gradients_are_those_of_the_paper(params):
    x, upstream = drawn(0, params)
    by_x, by_scale = gradients(x, upstream, params, 37)
    exact_x, exact_scale = lsq(x, upstream, params, 37)
    np.testing.assert_array_equal(by_x, exact_x)
    np.testing.assert_allclose(by_scale, exact_scale, rtol=2e-3)


@pytest.mark.parametrize("params", CASES, ids=lambda params: f"{params.dtype}_{params.zero_point}")
def test_torchs_own_learned_fake_quantization_has_the_same(params):
    """With codes counted from 0: it cuts zero points below that to the next larger one."""
    low, high = RANGE[params.dtype]
    x, upstream = drawn(1, params)
    real = torch.tensor(x, requires_grad=True)
    scale, zero_point = (torch.tensor([value], dtype=torch.float32, requires_grad=True)
                         for value in (float(params.scale), float(params.zero_point - low)))
    torch._fake_quantize_learnable_per_tensor_affine(
        real, scale, zero_point, 0, high - low, 1.0).backward(torch.tensor(upstream))
    most = max(high - int(params.zero_point), int(params.zero_point) - low)
    by_x, by_scale = gradients(x, upstream, params, 1)
    np.testing.assert_array_equal(by_x, real.grad.numpy())
    np.testing.assert_allclose(by_scale * np.sqrt(most), scale.grad.numpy()[0], rtol=2e-3)


def test_the_scales_gradient_is_the_slope_where_no_rounding_moves():
    """Finite differences of scale * clip(x / scale + what rounding adds), that being held."""
    params, step = QuantParams(0.25, 5), 1e-4
    x, upstream = drawn(2, params)
    low, high = (bound - 5 for bound in RANGE["int8"])
    added = np.rint(x / 0.25) - x.astype(np.float64) / 0.25

    def total(scale):
        return (upstream * scale * np.clip(x / scale + added, low, high)).sum()
    slope = (total(0.25 + step) - total(0.25 - step)) / (2 * step)
    _, by_scale = gradients(x, upstream, params, 1)
    np.testing.assert_allclose(by_scale * np.sqrt(133), slope, rtol=1e-3)


def test_each_channel_has_a_scale_and_a_gradient_of_its_own():
    rng = np.random.default_rng(3)
    weight, upstream = (rng.normal(size=(4, 3, 6)).astype(np.float32) for _ in range(2))
    params = weight_params(weight * np.float32(0.7), 1, "int4")
    real, scale = torch.tensor(weight), torch.tensor(params.scale, requires_grad=True)
    fake_quantized(real, params, scale, 24, narrow=True).backward(torch.tensor(upstream))
    for channel in range(3):
        steps = weight[:, channel] / params.scale[channel]
        inside = np.abs(np.rint(steps)) <= 7
        slope = np.where(inside, np.rint(steps) - steps, np.sign(steps) * 7)
        expected = (upstream[:, channel] * slope).sum() / np.sqrt(24 * 7)
        assert scale.grad[channel].item() == pytest.approx(expected, rel=1e-4)
        assert 0 < inside.mean() < 1


def test_straight_through_hands_the_gradient_on():
    x = torch.tensor([0.3, -2.0], requires_grad=True)
    y = Straight.apply(x, torch.tensor([5.0, 7.0]))
    (y * torch.tensor([2.0, 3.0])).sum().backward()
    assert y.tolist() == [5.0, 7.0] and x.grad.tolist() == [2.0, 3.0]
