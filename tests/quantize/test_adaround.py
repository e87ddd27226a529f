"""AdaRound: the paper's formulas by autograd, and every way to round a tiny layer."""

from itertools import product
import sys

import numpy as np
import pytest
import torch

from toolchain.errors import BadInput
from toolchain.ir.graph import constant
from toolchain.ir.ops import make
from toolchain.ir.quant import QuantParams, quantize
from toolchain.quantize import adaround
from toolchain.quantize.adaround import (
    SampledRows,
    beta_at,
    inverse_sigmoid,
    output_loss,
    rectified_sigmoid,
    regulariser,
)
from toolchain.quantize.layer import Layer

V = torch.linspace(-8, 8, 161, dtype=torch.float64)


def gradient(function, at: torch.Tensor) -> torch.Tensor:
    at = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(function(at).sum(), at)
    return slope


def test_the_rectified_sigmoid_is_the_papers():
    """Eq. 23, and the slope that it has where it is not clipped."""
    sigmoid = 1 / (1 + np.exp(-V.numpy()))
    stretched = sigmoid * 1.2 - 0.1
    np.testing.assert_allclose(rectified_sigmoid(V), stretched.clip(0, 1), atol=1e-12)
    slope = np.where((stretched >= 0) & (stretched <= 1), 1.2 * sigmoid * (1 - sigmoid), 0)
    np.testing.assert_allclose(gradient(rectified_sigmoid, V), slope, atol=1e-12)
    assert rectified_sigmoid(V).min() == 0 and rectified_sigmoid(V).max() == 1  # reached, not approached


def test_weights_start_at_their_fraction():
    fraction = torch.linspace(0.001, 0.999, 99, dtype=torch.float64)
    torch.testing.assert_close(rectified_sigmoid(inverse_sigmoid(fraction)), fraction)
    ends = rectified_sigmoid(inverse_sigmoid(torch.tensor([0.0, 1.0])))
    torch.testing.assert_close(ends, torch.tensor([0.001, 0.999]))


@pytest.mark.parametrize("beta", [20.0, 7.0, 2.0])
def test_the_regulariser_is_the_papers(beta):
    """Eq. 24 and its slope: nothing pulls at 1/2, high exponents only near the ends."""
    h = torch.linspace(0.02, 0.98, 49, dtype=torch.float64)
    signed = 2 * h.numpy() - 1
    np.testing.assert_allclose(regulariser(h, beta), 1 - np.abs(signed) ** beta)
    slope = -2 * beta * np.sign(signed) * np.abs(signed) ** (beta - 1)
    np.testing.assert_allclose(gradient(lambda x: regulariser(x, beta), h), slope, atol=1e-12)


def test_the_exponent_falls_from_20_to_2():
    assert [beta_at(share) for share in (0, 0.5, 1)] == [20, 11, 2]


def layer_of(seed: int, channels: int = 2, size: int = 6, activation: str | None = None,
             bias: float = 0.0) -> Layer:
    """A dense layer rounded to the nearest, with steps as coarse as 4 bits have."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(channels, size)).astype(np.float32)
    quant = QuantParams(np.full(channels, 0.3), np.zeros(channels), 0)
    op = make("fully_connected", ("x", "w", "b"), "y", activation=activation)
    weight = constant("w", quantize(real, quant, narrow=True), quant)
    return Layer(weight, real, np.full(channels, bias, np.float32), (op,), (op,), 1)


def rows_of(seed: int, size: int = 6, count: int = 200) -> np.ndarray:
    """Correlated, not centred: (1, rows, K)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1, count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)
    return x.astype(np.float32)


def rounded(layer: Layer, rows: np.ndarray, seed: int = 0) -> np.ndarray:
    kept = SampledRows(layer, seed)
    kept.add(rows)
    return kept.codes()


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_near_the_best_of_all_ways_to_round(activation):
    """2^6 for each of 8 channels: never above the nearest, mostly the best, each weight up or down."""
    excess = []
    for seed in range(2):
        layer, rows = layer_of(seed, channels=4, activation=activation, bias=0.3), rows_of(seed)
        found, down = rounded(layer, rows), np.floor(layer.target)
        ways = [output_loss(layer, rows, down + np.array(up)) for up in product((0, 1), repeat=6)]
        nearest, least = output_loss(layer, rows, layer.codes), np.min(ways, axis=0)
        losses = output_loss(layer, rows, found)
        assert np.all(losses <= nearest)
        assert np.all((found == down) | (found == down + 1))
        excess += list((losses / np.maximum(least, 1e-9)).ravel())
    assert np.median(excess) < 1.2


def test_a_channel_that_the_activation_silences_stays():
    layer, rows = layer_of(0, activation="relu", bias=-100.0), rows_of(0)
    np.testing.assert_array_equal(rounded(layer, rows), layer.codes)


def test_the_seed_decides():
    layer, rows = layer_of(1, channels=8, size=24), rows_of(1, size=24)
    first, again, other = (rounded(layer, rows, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_rows_are_kept_from_all_samples_alike(monkeypatch):
    """32 batches of 100 numbered rows: as many as fit, about equally many of each."""
    monkeypatch.setattr(adaround, "ROWS_BYTES", 4 * 6 * 1000)
    kept = SampledRows(layer_of(0), 0)
    for number in range(32):
        kept.add(np.full((1, 100, 6), number, np.float32))
    numbers = np.concatenate(kept._parts, axis=1)[0, :, 0].astype(int)
    counts = np.bincount(numbers, minlength=32)
    assert 500 < len(numbers) <= 1000 and counts.min() >= 25 and counts.max() <= 32


def test_without_torch_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInput, match=r'rounding = "adaround" needs torch: pip install torch==2\.13\.0'):
        SampledRows(layer_of(0), 0)
