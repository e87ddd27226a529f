"""The uncertainty budget of an energy, one standard uncertainty per source, mJ.

Combined as JCGM 100:2008 (GUM) says: limits +-a become a / sqrt(3) (4.3.7, rectangular), independent parts
add in quadrature (5.1.2), times k = 2 for 95 % (6.2). A part that few readings tell of is widened by
Student's t (G.3).
"""

from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np

from toolchain.device.integral import Curve, covering_curve, missing_s
from toolchain.device.latency.student import quantile as student
from toolchain.device.meters.meter import Window

RECTANGULAR = 1 / sqrt(3)
CONFIDENCE, NORMAL = 0.95, 1.96
"""Of k = 2, and the normal distribution's quantile for it."""
MOST_DEGREES = 200
"""Of freedom: with more, Student's t is wider than the normal distribution by less than 1 %."""
WITH_ENERGY = ("gain", "clock rate")
"""Parts that are a share of the energy, the same in every window of a meter."""
WITH_TIME = ("offset",)
"""Parts that are as large in an idle window, so that energy net of idle is without them."""
LOCKED = 8
"""So many readings cannot all fall on one half of an inference by chance."""
NEAR = 3
"""Intervals on each side of an edge that tell how far power steps there."""


@dataclass(frozen=True)
class Amount:
    """An energy in a window, mJ, with its budget: source -> standard uncertainty, mJ."""

    mj: float
    seconds: float
    parts: dict[str, float]

    @property
    def standard_mj(self) -> float:
        """All parts together."""
        return hypot(*self.parts.values())

    @property
    def mw(self) -> float:
        """Mean power."""
        return self.mj / self.seconds


def amount_of(window: Window, cycles: np.ndarray | None = None, edge_s: float = 0.0,
              other_mw: float | None = None) -> Amount:
    """The energy in a window and how far it is known.

    cycles:   when each inference began and the last one ended, (N + 1,) seconds of the readings' clock, where
              the load repeats: readings of instants may fall on the same phase of it again and again
    edge_s:   limits of each edge's time against the readings' clock
    other_mw: power outside the window (idle), for steps that the readings near its edges do not show
    Raises InvalidMeasurement.
    """
    curve, facts = covering_curve(window), window.facts
    mj = curve.at(window.end_s) - curve.at(window.begin_s)
    inside = powers_inside(window, curve)
    low_mw, high_mw = range_of(inside)
    span_mw = high_mw - low_mw
    wide_mw = span_mw if other_mw is None else max(high_mw, other_mw) - min(low_mw, other_mw)
    parts = {"gain": abs(mj) * facts.gain_error * RECTANGULAR,
             "clock rate": abs(mj) * facts.clock_ppm * 1e-6 * RECTANGULAR,
             "offset": facts.offset_mw * window.seconds * RECTANGULAR,
             "resolution": _resolution_mj(window),
             "edges": _edges_mj(window, curve, edge_s, other_mw),
             "lost readings": missing_s(window) * wide_mw / sqrt(12)}
    if facts.reads != "counter":
        parts["noise"] = _noise_mw(inside) * window.seconds
    if facts.reads == "instant" and cycles is not None:
        uneven = unevenness(window, cycles)
        swing_mw = wide_mw if uneven > 0.5 else span_mw
        source = "locked phase" if uneven > 0.5 and len(inside) >= LOCKED else "phase"
        parts[source] = uneven * swing_mw * window.seconds * RECTANGULAR
    return Amount(mj, window.seconds, parts)


def powers_inside(window: Window, curve: Curve) -> np.ndarray:
    """(n,) mW of the readings of the window itself, of its one interval where there are none.

    Without those that may be from before it, being as old as lag_s.
    """
    counts = window.facts.reads == "counter"
    times, powers = (curve.times_s[1:], curve.power_mw) if counts else (curve.times_s, window.series.values)
    inside = powers[(window.begin_s + window.facts.lag_s < times) & (times <= window.end_s)]
    return inside if len(inside) else curve.power_mw[[curve.interval(window.begin_s)]]


def range_of(powers_mw: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest; of very many, without one in two hundred on either side."""
    if len(powers_mw) <= 200:
        return float(powers_mw.min()), float(powers_mw.max())
    low, high = np.quantile(powers_mw, (0.005, 0.995))
    return float(low), float(high)


def _resolution_mj(window: Window) -> float:
    """A counter's two ends, each rounded; a power reading that may be cut off by a step, always alike."""
    step = window.facts.resolution
    return step / sqrt(6) if window.facts.reads == "counter" else step * window.seconds * RECTANGULAR


def _noise_mw(powers_mw: np.ndarray) -> float:
    """Standard uncertainty of the mean of n readings, by their successive differences.

    Von Neumann et al., Annals of Mathematical Statistics 12, 1941: what changes slowly is load that was
    seen, not noise. Of few readings, Student's t instead of the normal distribution.
    """
    n = len(powers_mw)
    if n < 2:
        return float(abs(powers_mw[0]))
    deviation = sqrt(float(np.mean(np.diff(powers_mw) ** 2)) / 2)
    return deviation / sqrt(n) * student(CONFIDENCE, min(n - 1, MOST_DEGREES)) / NORMAL


def _edges_mj(window: Window, curve: Curve, edge_s: float, other_mw: float | None) -> float:
    """What happened between the readings around an edge, and when the edge was."""
    parts = [_edge_mj(window, curve, time_s, edge_s, other_mw) for time_s in (window.begin_s, window.end_s)]
    return hypot(*parts)


def _edge_mj(window: Window, curve: Curve, time_s: float, edge_s: float, other_mw: float | None) -> float:
    """One of them.

    In an interval of dt seconds whose energy is known, a step of s mW at the share f of it moves at most
    f (1 - f) dt s mJ over the edge; between two instants, where it is not known, up to half of dt s.
    """
    i, facts = curve.interval(time_s), window.facts
    dt = curve.times_s[i + 1] - curve.times_s[i]
    late = hypot(edge_s, facts.jitter_s, facts.lag_s)
    first, last = np.searchsorted(curve.times_s, (time_s - late - NEAR * dt, time_s + late + NEAR * dt))
    powers = curve.power_mw if curve.ends_mw is None else curve.ends_mw
    levels = np.append(powers[first:last + 1], curve.power_mw[i] if other_mw is None else other_mw)
    step_mw, high_mw = float(np.ptp(levels)), float(np.abs(levels).max())
    share = (time_s - curve.times_s[i]) / dt
    unknown = share * (1 - share) if facts.reads != "instant" else max(share, 1 - share) / 2
    return hypot(unknown * dt * step_mw, late * high_mw) * RECTANGULAR


def unevenness(window: Window, cycles: np.ndarray) -> float:
    """How far the readings' phases within an inference are from even, 0 to 1: Kuiper's statistic D+ + D-.

    Koksma's inequality (Kuipers and Niederreiter, Uniform Distribution of Sequences, 1974, theorem 2.5.1):
    the mean of a load over those phases is off by at most its swing times this, which holds from whichever
    phase one counts.
    """
    times = window.series.times_s
    times = times[(window.begin_s <= times) & (times < window.end_s)]
    which = np.searchsorted(cycles, times, "right") - 1
    known = (which >= 0) & (which < len(cycles) - 1)
    if not known.any():
        return 1.0
    begins, ends = cycles[which[known]], cycles[which[known] + 1]
    phases = np.sort((times[known] - begins) / (ends - begins))
    n = len(phases)
    ranks = np.arange(n)
    return min(float((phases - ranks / n).max() + ((ranks + 1) / n - phases).max()), 1.0)
