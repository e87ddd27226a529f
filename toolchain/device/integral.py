"""Energy between two instants from a meter's readings, and how much of that time no reading tells of."""

from dataclasses import dataclass

import numpy as np

from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.errors import InvalidMeasurement

GAP = 1.5
"""Periods between two readings from which on one is missing between them."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Energy used up to each reading.

    times_s:  (n,), rising, n >= 2
    total_mj: (n,), from 0
    power_mw: (n - 1,), mean of each interval
    ends_mw:  (n,) power at each reading; None where power is flat between two of them
    """

    times_s: np.ndarray
    total_mj: np.ndarray
    power_mw: np.ndarray
    ends_mw: np.ndarray | None

    def at(self, time_s: float) -> float:
        """mJ used up to then: power is linear between instant readings, flat within any other interval."""
        if self.ends_mw is None:
            return float(np.interp(time_s, self.times_s, self.total_mj))
        i = self.interval(time_s)
        span, since = self.times_s[i + 1] - self.times_s[i], time_s - self.times_s[i]
        slope = (self.ends_mw[i + 1] - self.ends_mw[i]) / span
        return float(self.total_mj[i] + since * (self.ends_mw[i] + slope * since / 2))

    def interval(self, time_s: float) -> int:
        """Index of the interval that time_s lies in; of a reading's own time, of the one behind it."""
        i = int(np.searchsorted(self.times_s, time_s, "right")) - 1
        return min(max(i, 0), len(self.times_s) - 2)


def curve_of(facts: Facts, series: Series) -> Curve:
    """Raises InvalidMeasurement for what cannot be: a time or a counter that falls, NaN, a lone reading."""
    times, values = series.times_s, series.values
    _check(facts, times, values)
    spans = np.diff(times)
    if facts.reads == "counter":
        return Curve(times, values - values[0], np.diff(values) / spans, None)
    between = (values[:-1] + values[1:]) / 2
    if facts.reads == "instant":
        return Curve(times, _summed(between * spans), between, values)
    seen = np.where(spans > GAP * facts.period_s, facts.period_s, spans)
    energy = values[1:] * seen + between * (spans - seen)
    return Curve(times, _summed(energy), energy / spans, None)


def _check(facts: Facts, times: np.ndarray, values: np.ndarray) -> None:
    if len(times) < 2:
        raise InvalidMeasurement(f"{facts.kind}: {len(times)} readings where energy takes two; make the "
                                 f"window longer than its period of {facts.period_s:g} s")
    if not (np.isfinite(times).all() and np.isfinite(values).all()):
        raise InvalidMeasurement(f"{facts.kind}: a reading is not a finite number")
    if (np.diff(times) <= 0).any():
        raise InvalidMeasurement(f"{facts.kind}: timestamps do not rise; its clock jumped during the run")
    if facts.reads == "counter" and (np.diff(values) < 0).any():
        raise InvalidMeasurement(f"{facts.kind}: its counter fell: it was reset, measure again")


def _summed(parts: np.ndarray) -> np.ndarray:
    return np.concatenate(([0.0], np.cumsum(parts)))


def energy_mj(window: Window) -> float:
    """All energy between the window's two instants.

    Raises InvalidMeasurement where the readings do not reach over both.
    """
    curve = covering_curve(window)
    return curve.at(window.end_s) - curve.at(window.begin_s)


def covering_curve(window: Window) -> Curve:
    """The curve of its readings. Raises InvalidMeasurement where it does not reach over both edges."""
    if not window.end_s > window.begin_s:
        raise InvalidMeasurement(f"{window.facts.kind}: a window of {window.seconds:.6f} s")
    curve = curve_of(window.facts, window.series)
    early, late = curve.times_s[0] - window.begin_s, window.end_s - curve.times_s[-1]
    if early > 0 or late > 0:
        raise InvalidMeasurement(
            f"{window.facts.kind}: its readings begin {max(early, 0):.3f} s after the window does and end "
            f"{max(late, 0):.3f} s before it does; open the meter earlier, close it later")
    return curve


def missing_s(window: Window) -> float:
    """Seconds of the window that lie between two readings with readings lost in between.

    A counter goes on counting, so nothing is missing there.
    """
    facts, times = window.facts, window.series.times_s
    if facts.reads == "counter":
        return 0.0
    inside = np.clip(times, window.begin_s, window.end_s)
    spans, seen = np.diff(times), np.diff(inside)
    lost = (spans > GAP * facts.period_s) & (seen > 0)
    return float(np.maximum(seen[lost] - facts.period_s, 0).sum())
