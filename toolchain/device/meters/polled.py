"""Power that has to be asked for again and again: by a thread of the host, while the device does its work."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import time

from toolchain.device.clock import raw_clock_s
from toolchain.device.meters.background import Background
from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.errors import InvalidMeasurement

PATIENCE = 20
"""Periods without a reading after which the meter counts as gone."""


@dataclass(frozen=True)
class Source:
    """What is polled.

    read: mW now. Raises DeviceUnavailable where the meter is gone, BadReply for what is not a reading
    """

    facts: Facts
    read: Callable[[], float]


class Polled:
    """A meter.Meter. survey: looks at the meter and says what it is; raises DeviceUnavailable."""

    facts: Facts

    def __init__(self, survey: Callable[[], Source], now: Callable[[], float] = raw_clock_s,
                 sleep: Callable[[float], None] = time.sleep):
        self._survey, self._now, self._sleep = survey, now, sleep
        self._background: Background | None = None

    def open(self) -> None:
        self.begin()
        self._background = Background(self.poll)

    def begin(self) -> None:
        """Find the meter, and read it once."""
        self._source = self._survey()
        self.facts = self._source.facts
        self._times, self._powers, self._widest_s, self._dropped = [], [], 0.0, 0
        self._due_s = self._now()
        self.poll()

    def poll(self) -> None:
        """Wait until it is time, and read: dated half way between question and answer.

        A reading that took a whole period is thrown away, for nobody knows when it was taken.
        """
        self._sleep(max(self._due_s - self._now(), 0))
        sent = self._now()
        self._due_s = max(self._due_s + self.facts.period_s, sent)
        power = self._source.read()
        took = self._now() - sent
        if took > self.facts.period_s:
            self._dropped += 1
            return
        self._powers.append(power)
        self._widest_s = max(self._widest_s, took / 2)
        self._times.append(sent + took / 2)

    def window(self, begin_s: float, end_s: float) -> Window:
        if self._background is not None:
            self._background.wait(lambda: self._times and self._times[-1] >= end_s,
                                  max(end_s - self._now(), 0) + PATIENCE * self.facts.period_s,
                                  f"{self.facts.kind}: a reading after the window")
        if not self._times:
            raise InvalidMeasurement(f"{self.facts.kind}: each of {self._dropped} readings took longer than "
                                     f"{self.facts.period_s:g} s")
        count = len(self._times)
        series = Series.of(self._times[:count], self._powers[:count], dropped=self._dropped)
        facts = replace(self.facts, jitter_s=max(self.facts.jitter_s, self._widest_s))
        return Window(facts, begin_s, end_s, series.around(begin_s, end_s))

    def close(self) -> None:
        if self._background is not None:
            self._background.end()
            self._background = None
