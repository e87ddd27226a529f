"""The entropy observer against onnxruntime's, and against the divergence written down with loops."""

import numpy as np
from onnxruntime.quantization.calibrate import HistogramCollector
import pytest

from tests.quantize.test_observers import observe
from toolchain.quantize.histogram import filled
from toolchain.quantize.ranges_entropy import ABSENT, HALF, LEVELS, divergence, linear_counts

COUNT = 400_000
rng = np.random.default_rng(2)
VALUES = {name: x.astype(np.float32) for name, x in {
    "normal": rng.normal(size=COUNT),
    "laplace": rng.laplace(size=COUNT),
    "heavy tails": rng.standard_t(4, COUNT),
    "uniform": rng.uniform(-2, 2, COUNT),
    "two scales": np.append(rng.normal(0, 0.1, COUNT), rng.normal(0, 3, 3000)),
    "outliers": np.append(rng.normal(size=COUNT), [40.0, -35.0]),
}.items()}


def onnxruntimes(x: np.ndarray, capsys) -> tuple[float, float]:
    collector = HistogramCollector("entropy", False, HALF + 1, LEVELS, None, None)
    collector.collect({"x": x})
    capsys.readouterr()
    low, high = collector.get_entropy_threshold(collector.get_histogram_dict()["x"], LEVELS)
    return float(low), float(high)


def loops(counts: np.ndarray, start: int, stop: int) -> float:
    """pytorch-quantization's _compute_amax_entropy for one window, and scipy.stats.entropy."""
    window = counts[start:stop].astype(float)
    p = window.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[stop:].sum()
    q = np.zeros_like(p)
    for level in range(LEVELS):
        part = slice(p.size * level // LEVELS, p.size * (level + 1) // LEVELS)
        there = p[part] > 0
        if there.any():
            q[part][there] = (window[part].sum() or ABSENT) / there.sum()
    p, q = p / p.sum(), q / window.sum()
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))


@pytest.mark.oracle
@pytest.mark.parametrize("name", VALUES)
def test_thresholds_are_near_onnxruntimes_and_diverge_no_more(name, capsys):
    """Not equal: its levels leave bins over, ours are even; our bins are 0.8 % wide; the minimum is flat."""
    x = VALUES[name]
    ours, theirs = observe("entropy", x[None]).range, onnxruntimes(x, capsys)
    np.testing.assert_allclose(ours, theirs, rtol=0.25)
    furthest = abs(x).max()
    counts, _ = np.histogram(x, 2 * HALF, (-furthest, furthest))
    own, other = (loops(counts, *(np.round(HALF * (1 + np.array(ends) / furthest)).astype(int)))
                  for ends in (ours, theirs))
    assert own <= 1.05 * other + 1e-4


@pytest.mark.parametrize("name", VALUES)
def test_the_divergence_is_that_of_the_definition(name):
    x = VALUES[name][:20_000]
    counts, _ = np.histogram(x, 2 * HALF, (-abs(x).max(), abs(x).max()))
    starts = np.array([0, HALF - 128, HALF - 700, HALF - 3, 900])
    stops = np.array([2 * HALF, HALF + 128, HALF + 700, HALF + 777, 3000])
    expected = [loops(counts, start, stop) for start, stop in zip(starts, stops)]
    ours = divergence(counts.astype(float), starts, stops)
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", VALUES)
def test_linear_bins_hold_what_a_linear_histogram_counts(name):
    x = VALUES[name]
    furthest = float(abs(x).max())
    stats = observe("entropy", x[None])
    ours = linear_counts(filled(stats.histogram, stats.low, stats.high), furthest)
    exact, _ = np.histogram(x, 2 * HALF, (-furthest, furthest))
    assert ours.sum() == pytest.approx(x.size)
    assert np.abs(np.cumsum(ours) - np.cumsum(exact)).max() < 0.005 * x.size


def test_zeros_of_a_relu_do_not_narrow_the_range():
    x = np.abs(VALUES["normal"])
    alone = observe("entropy", x[None]).range
    assert observe("entropy", np.append(x, np.zeros(COUNT, np.float32))[None]).range == (0, alone[1])
    assert 3.5 < alone[1] < 5.5


def test_a_tensor_on_one_side_of_zero_spends_no_code_on_the_other():
    x = np.append(VALUES["laplace"], 100.0)[VALUES["laplace"].size // 2:].astype(np.float32)
    stats = observe("entropy", np.maximum(x, -0.375)[None])
    assert stats.range[0] == -0.375 and 4 < stats.range[1] < 20


@pytest.mark.parametrize("x", [np.zeros(9), np.full(9, 0.3), np.full(9, -2.0), np.linspace(3, 4, 99)])
def test_narrow_and_constant_tensors_keep_their_extremes(x):
    x = x.astype(np.float32)
    assert observe("entropy", x[None]).range == (x.min(), x.max())
