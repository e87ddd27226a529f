"""Samples of single inferences -> Latency: the steady ones' quantiles, with an interval."""

from collections.abc import Iterator, Sequence

import numpy as np

from toolchain.device.latency.bootstrap import quantile_interval
from toolchain.device.latency.steady import Steady, steady_state
from toolchain.errors import InvalidMeasurement
from toolchain.measurement import Latency

FEWEST = 10
LEAST_CPU_SHARE = 0.9


def latency_figures(samples_us: Sequence[float],
                    cpu_samples_us: Sequence[float] = ()) -> tuple[Latency, tuple[str, ...]]:
    """What a run's samples say, and what is wrong with them.

    samples_us:     wall time of every inference in order, the first included, microseconds
    cpu_samples_us: their CPU time, of a run in one thread, which has the CPU to itself or is invalid
    Problems, one line each: a series that still drifts, fewer than 10 samples in the steady state, a CPU that
    others had.
    Raises InvalidMeasurement for none, or times that are not above zero.
    """
    samples = np.asarray(samples_us, dtype=np.float64)
    _require_times(samples)
    steady = steady_state(samples)
    hot = samples[steady.start:]
    median, p90, p99 = (float(q) for q in np.quantile(hot, (0.5, 0.9, 0.99)))
    low, high = quantile_interval(hot, 0.5)
    if low is None or high is None:
        low = high = None
    figures = Latency(median, p90, p99, low=low, high=high, samples=len(hot), warm_up=steady.start)
    cpu_us = float(np.sum(cpu_samples_us[steady.start:]))
    had = cpu_us / float(hot.sum()) if len(cpu_samples_us) else 1.0
    return figures, tuple(_problems(steady, len(hot), had))


def _require_times(samples: np.ndarray) -> None:
    if not len(samples):
        raise InvalidMeasurement("no latency samples were taken")
    if wrong := int((~(np.isfinite(samples) & (samples > 0))).sum()):
        raise InvalidMeasurement(f"{wrong} of {len(samples)} latency samples are not above 0 us; the "
                                 "device's clock is too coarse or its record is damaged")


def _problems(steady: Steady, hot: int, had: float) -> Iterator[str]:
    if hot < FEWEST:
        yield f"{hot} latency samples in the steady state, {FEWEST} are needed; measure for longer"
    if had < LEAST_CPU_SHARE:
        yield (f"inferences had the CPU for {had:.0%} of their time, {LEAST_CPU_SHARE:.0%} is needed; end "
               f"what else runs, or choose a CPU of their own")
    if not steady.reached:
        yield (f"no steady state: times change by {steady.drift:+.1%} within the {hot} samples after the "
               f"warm-up; measure for longer, cool the device or fix its clock")
