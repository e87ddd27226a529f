"""Samples -> Latency, and what is wrong with them."""

import numpy as np
import pytest

from tests.device.latency.series import times_us
from toolchain.device.latency.figures import latency_figures
from toolchain.errors import InvalidMeasurement


def test_the_warm_up_is_not_in_the_figures():
    times = times_us(np.random.default_rng(2), 2000)
    times[:200] *= 3
    figures, problems = latency_figures(times.tolist())
    assert figures.warm_up == 200 and figures.samples == 1800 and not problems
    assert figures.median == np.median(times[200:]) and figures.p99 == np.quantile(times[200:], 0.99)
    assert 99 < figures.low < figures.median < figures.high < 101


def test_the_interval_covers_the_true_median():
    rng = np.random.default_rng(3)
    held = [figures.low <= 100 <= figures.high for figures, _ in
            (latency_figures(times_us(rng, 1000, 0.7, spikes=0)) for _ in range(200))]
    assert 0.91 <= np.mean(held) <= 0.99


def test_too_few_samples_are_a_problem_with_a_remedy():
    figures, problems = latency_figures([1.0, 2.0, 3.0])
    assert (figures.median, figures.low, figures.samples, figures.warm_up) == (2.5, None, 2, 1)
    assert problems == ("2 latency samples in the steady state, 10 are needed; measure for longer",)


def test_a_drift_is_a_problem():
    times = times_us(np.random.default_rng(2), 1000) * np.linspace(1, 1.5, 1000)
    _, (problem,) = latency_figures(times.tolist())
    assert problem.startswith("no steady state: times change by +")


def test_a_cpu_that_others_had_is_a_problem():
    times = times_us(np.random.default_rng(2), 1000, spikes=0)
    assert latency_figures(times.tolist(), (times * 0.98).tolist())[1] == ()
    _, (problem,) = latency_figures(times.tolist(), (times * 0.6).tolist())
    assert problem == ("inferences had the CPU for 60% of their time, 90% is needed; end what else runs, or "
                       "choose a CPU of their own")


@pytest.mark.parametrize("samples, message", [
    ([], "no latency samples were taken"),
    ([1.0, 0.0, float("nan"), -1.0],
     "3 of 4 latency samples are not above 0 us; the device's clock is too coarse or its record is damaged")])
def test_what_are_no_times(samples, message):
    with pytest.raises(InvalidMeasurement) as error:
        latency_figures(samples)
    assert str(error.value) == message
