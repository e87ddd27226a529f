"""Figures of a tensor, held to a look at all of its values at once."""

import math

import numpy as np
import pytest

from toolchain.diagnose.figures import Similarity, Spread, weight_figures
from toolchain.ir.quant import QuantParams, quantize


def test_similarity_is_the_textbooks_over_any_batches():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(7, 4, 3)).astype(np.float32)
    found = exact + rng.normal(0, 0.1, exact.shape).astype(np.float32)
    similarity = Similarity()
    for part in (slice(0, 2), slice(2, 7)):
        similarity.add(exact[part], found[part])
    by_sample = [10 * math.log10(sum(float(x) ** 2 for x in a.ravel())
                                 / sum((float(x) - float(y)) ** 2 for x, y in zip(a.ravel(), b.ravel())))
                 for a, b in zip(exact, found)]
    assert similarity.sqnr_db == pytest.approx(np.mean(by_sample), abs=1e-6)
    a, b = exact.ravel(), found.ravel()
    assert similarity.cosine == pytest.approx(np.corrcoef(np.r_[a, -a], np.r_[b, -b])[0, 1], abs=1e-6)


@pytest.mark.parametrize(("exact", "found", "cosine"), [([0, 0], [0, 0], 1), ([1, 2], [0, 0], 0)])
def test_nothing_has_a_cosine_too(exact, found, cosine):
    similarity = Similarity()
    similarity.add(np.array([exact], np.float32), np.array([found], np.float32))
    assert similarity.cosine == cosine


def test_a_value_that_is_not_finite_leaves_no_signal():
    similarity = Similarity()
    similarity.add(np.ones((1, 2), np.float32), np.array([[1, np.nan]], np.float32))
    assert similarity.sqnr_db == -math.inf


def spread_of(values, quant):
    spread = Spread(quant, values.shape[-1])
    for part in np.array_split(values, 3):
        spread.add(part, quantize(part, quant))
    return spread.figures()


def test_channels_one_by_one():
    """Channel 2 is dead, channel 3 far wider than the others and clipped once."""
    rng = np.random.default_rng(1)
    values = rng.uniform(-1, 1, (50, 5, 5)).astype(np.float32)
    values[..., 2] = 0.5
    values[..., 3] *= 20
    values[0, 0, 3] = -30
    quant = QuantParams(np.float32(40 / 255), 0)
    found = spread_of(values, quant)
    reach = (-128 * 40 / 255, 127 * 40 / 255)
    outside = sum(not reach[0] - 20 / 255 <= float(v) <= reach[1] + 20 / 255 for v in values.ravel())
    widths = sorted(max(values[..., c].max(), 0) - min(values[..., c].min(), 0) for c in (0, 1, 3, 4))
    assert (found["channels"], found["dead"], found["widest"]) == (5, 1, 3)
    assert found["spread"] == pytest.approx(widths[-1] / ((widths[1] + widths[2]) / 2)) and widths[-1] > 49
    assert found["saturated"] == outside / values.size and outside == 1
    assert found["codes_used"] == len({int(c) for c in quantize(values, quant).ravel()}) / 256
    assert found["range_used"] == pytest.approx(float(np.ptp(values)) / 40)
    assert found["tail"] == pytest.approx(np.abs(values - values.mean()).max() / values.std(), rel=1e-4)


def test_starved_channels_have_fewer_than_16_codes():
    values = np.zeros((4, 4), np.float32)
    values[0] = [255, 15, 17, 0]  # at scale 1: 255, 15 and 17 codes, and a dead one
    assert spread_of(values, QuantParams(np.float32(1), -128))["starved"] == pytest.approx(1 / 3)


def test_weights_and_their_repairs():
    weight = np.array([[1.0, -0.5], [0.02, 0.01]], np.float32)
    scale = np.array([1 / 127, 0.01], np.float32)  # the second was raised from 0.02 / 127
    coded = np.rint(weight / scale[:, None]) * scale[:, None]
    found = weight_figures(weight, coded, scale, 0)
    assert found["repaired"] == 1
    noise, signal = ((weight - coded) ** 2).sum(), (weight**2).sum()
    assert found["weight_db"] == pytest.approx(10 * math.log10(signal / noise), abs=1e-3)
    assert weight_figures(weight, weight + [[0.1, 0], [0, 0]], scale, 0)["worst_weight"] == 0
