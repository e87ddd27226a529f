"""Energy counters that are files of the device: read by the runner during a run, by the host at idle.

A counter goes on counting between two readings, so that reading it between inferences loses nothing. Files
that tell power at an instant would be read at the same moment of every inference: polled.py reads those.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
import time

import numpy as np

from toolchain.device.clock import raw_clock_s
from toolchain.device.meters.meter import Facts, Reading, Series, Window
from toolchain.device.meters.system import System
from toolchain.device.runner.record import Watched
from toolchain.errors import BadReply, InvalidMeasurement


@dataclass(frozen=True)
class Counter:
    """What was found of an energy counter.

    facts:    of a counter that is read in the device's time
    files:    absolute paths
    decode:   rows of their texts, one a reading, in order -> mJ of each. Raises BadReply
    wraps_mj: where the counter begins again; None where it does not
    held:     it moves in steps of unknown size and at unknown times, both of which the readings must show
    """

    facts: Facts
    files: tuple[str, ...]
    decode: Callable[[Sequence[Sequence[str]]], list[float]]
    wraps_mj: float | None = None
    held: bool = False


class FileCounter:
    """A meter.FileMeter. survey: looks at the files and says what they are; raises DeviceUnavailable."""

    facts: Facts
    files: tuple[str, ...]

    def __init__(self, system: System, survey: Callable[[System], Counter],
                 now: Callable[[], float] = raw_clock_s, sleep: Callable[[float], None] = time.sleep):
        self._system, self._survey, self._now, self._sleep = system, survey, now, sleep
        self._series: Series | None = None

    def open(self) -> None:
        self._counter = self._survey(self._system)
        self.facts, self.files = self._counter.facts, self._counter.files

    def take(self, readings: Mapping[str, Sequence[Reading]]) -> None:
        files = [readings.get(path, ()) for path in self.files]
        if len({len(row) for row in files}) != 1 or not files[0]:
            counts = ", ".join(str(len(row)) for row in files)
            raise BadReply(f"{self.facts.kind}: the runner read its files {counts} times; it was asked to "
                           f"read them together, and at least once")
        groups = list(zip(*files))
        whole = [group for group in groups if all(reading.text for reading in group)]
        times = [sum(reading.time_s for reading in group) / len(group) for group in whole]
        self._series = self._decoded(times, [[reading.text for reading in group] for group in whole],
                                     len(groups) - len(whole))

    def window(self, begin_s: float, end_s: float) -> Window:
        if self._series is None:
            raise InvalidMeasurement(f"{self.facts.kind}: the run brought no readings of it")
        return self._window(self.facts, self._series, begin_s, end_s)

    def idle(self, seconds: float) -> Window:
        """Two readings are enough of a counter that moves all the time; of one in steps, one a second."""
        count = max(int(seconds), 1) if self._counter.held else 1
        taken = [self._read()]
        for _ in range(count):
            self._sleep(seconds / count)
            taken.append(self._read())
        times, rows, widths = zip(*taken)
        facts = replace(self.facts, clock="host", jitter_s=max(self.facts.jitter_s, *widths))
        return self._window(facts, self._decoded(times, rows, 0), times[0], times[-1])

    def close(self) -> None:
        self._series = None

    def _decoded(self, times: Sequence[float], rows: Sequence[Sequence[str]], dropped: int) -> Series:
        values = unwrapped(self._counter.decode(rows), self._counter.wraps_mj)
        return Series.of(times, values, dropped=dropped)

    def _window(self, facts: Facts, series: Series, begin_s: float, end_s: float) -> Window:
        if self._counter.held:
            facts, series = as_shown(facts, series)
        return Window(facts, begin_s, end_s, series.around(begin_s, end_s))

    def _read(self) -> tuple[float, list[str], float]:
        """(host's time half way, texts, half of how long it took)."""
        began = self._now()
        texts = [self._system.read(path) for path in self.files]
        ended = self._now()
        return (began + ended) / 2, texts, (ended - began) / 2


def readings_of(watched: Sequence[Watched], files: Sequence[str]) -> dict[str, list[Reading]]:
    """What a record says of the files that were given to the runner's watch=, in their order."""
    found: dict[str, list[Reading]] = {path: [] for path in files}
    for one in watched:
        if one.index >= len(files):
            raise BadReply(f"the runner watched file {one.index} of {len(files)}")
        found[files[one.index]].append(Reading(one.time_ns / 1e9, one.value or ""))
    return found


def as_shown(facts: Facts, series: Series) -> tuple[Facts, Series]:
    """The step and the age of a counter's readings as they show: the smallest step, the longest rest; and of
    the readings those that moved, with the first and the last.

    Raises InvalidMeasurement for a counter that moved less than twice, for then nobody knows its step.
    """
    steps = np.diff(series.values)
    moved = np.flatnonzero(steps > 0)
    if len(moved) < 2:
        raise InvalidMeasurement(f"{facts.kind}: the counter moved {len(moved)} times in "
                                 f"{np.ptp(series.times_s) if len(steps) else 0:.0f} s; measure for longer")
    kept = np.unique(np.concatenate(([0], moved + 1, [len(steps)])))
    seen = replace(series, times_s=series.times_s[kept], values=series.values[kept])
    lag_s = float(np.diff(seen.times_s).max())
    return replace(facts, resolution=float(steps[moved].min()), lag_s=lag_s), seen


def unwrapped(values: Sequence[float], wraps_mj: float | None) -> np.ndarray:
    """Of a counter that begins again at wraps_mj: at each fall once, so read it more often than it wraps."""
    found = np.asarray(values, np.float64)
    if wraps_mj is None or len(found) < 2:
        return found
    return found + np.concatenate(([0.0], np.cumsum(np.diff(found) < 0))) * wraps_mj
