"""The face of a meter, and what it hands out: readings between two timestamps, with facts to judge them by.

Two sorts of meters share it. Those that the host reads (an instrument on USB or a serial port, a command sent
to the device) measure in the background from open() to close(); their timestamps are the host's. Those that
are files of the device are read there by the runner, between inferences, so that nothing else wakes it: they
name the files (`FileMeter.files`), are handed what the runner read (`take`), and speak in the device's time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
import time
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from toolchain.device.clock import raw_clock_s
from toolchain.measurement import Tier

Reads = Literal["instant", "mean", "counter"]
"""instant: power when it was read; mean: power since the reading before; counter: energy since some start."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a meter is, and how wrong it may be. Limits are half-widths: the error lies within +- them.

    kind:       its key of METER
    rails:      "supply", or names of rails
    rate_hz:    new readings a second
    resolution: one step of a reading: mW, or mJ of a counter
    gain_error: limits, relative to the reading: 0.01 is +-1 %
    offset_mw:  limits of what is added to every reading
    jitter_s:   limits of a timestamp's own error, independent from one to the next
    lag_s:      a reading is between 0 and so much older than its timestamp
    clock_ppm:  limits of how fast its timestamps run against true time
    clock:      whose CLOCK_MONOTONIC_RAW the timestamps are of
    note:       what the meter leaves out
    source:     of the figures: data sheet and section
    """

    kind: str
    tier: Tier
    rails: tuple[str, ...]
    reads: Reads
    rate_hz: float
    resolution: float
    gain_error: float
    offset_mw: float
    jitter_s: float = 0.0
    lag_s: float = 0.0
    clock_ppm: float = 100.0
    clock: Literal["host", "device"] = "host"
    note: str = ""
    source: str = ""

    @property
    def period_s(self) -> float:
        """Between two readings."""
        return 1 / self.rate_hz


@dataclass(frozen=True, eq=False)
class Series:
    """Readings in order.

    times_s: (n,) float64, seconds of CLOCK_MONOTONIC_RAW, rising; of "mean" readings, when their span ended
    values:  (n,) float64, mW; or mJ of a counter, unwrapped: it only rises
    pins_s:  (m,) float64, when the meter's own logic input went active: a window gated by a pin
    dropped: readings that the meter says it lost; in times_s they are gaps
    """

    times_s: np.ndarray
    values: np.ndarray
    pins_s: np.ndarray
    dropped: int = 0

    @classmethod
    def of(cls, times_s: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray,
           pins_s: Sequence[float] | np.ndarray = (), dropped: int = 0) -> "Series":
        """From lists or arrays, pins and losses where the meter has them."""
        return cls(*(np.asarray(one, np.float64) for one in (times_s, values, pins_s)), dropped)

    def around(self, begin_s: float, end_s: float) -> "Series":
        """The readings in [begin_s, end_s] and the nearest two on each side; the pins in between."""
        first = max(int(np.searchsorted(self.times_s, begin_s, "left")) - 2, 0)
        last = int(np.searchsorted(self.times_s, end_s, "right")) + 2
        pins = self.pins_s[(begin_s <= self.pins_s) & (self.pins_s <= end_s)]
        return replace(self, times_s=self.times_s[first:last], values=self.values[first:last], pins_s=pins)


@dataclass(frozen=True, eq=False)
class Window:
    """What a meter saw from begin_s to end_s, in seconds of its readings' clock.

    series: holds a reading before begin_s and one after end_s, so that both edges can be told
    """

    facts: Facts
    begin_s: float
    end_s: float
    series: Series

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.begin_s


class Meter(Protocol):
    """Something that sees a board's power.

    facts: known once it is open

    Every method raises DeviceUnavailable or one of its kinds where the meter is missing, busy or gone, and
    BadReply for what its protocol does not allow; never with a serial number.
    """

    facts: Facts

    def open(self) -> None:
        """Begin to measure, in the background."""

    def window(self, begin_s: float, end_s: float) -> Window:
        """The readings of that time, which open() came before. Waits, bounded, for the first one after end_s.

        Raises InvalidMeasurement where the readings do not reach from before begin_s to after end_s.
        """

    def close(self) -> None:
        """Stop, and let go of the meter. A second time does nothing."""


def idle_window(meter: Meter, seconds: float) -> Window:
    """Of so many seconds from now on, in which the board waits: nothing of ours runs there."""
    begin_s = raw_clock_s()
    time.sleep(seconds)
    return meter.window(begin_s, raw_clock_s())


@dataclass(frozen=True)
class Reading:
    """A file of the device as the runner read it.

    time_s: the device's CLOCK_MONOTONIC_RAW
    text:   its contents, or "" where it could not be read
    """

    time_s: float
    text: str


@runtime_checkable
class FileMeter(Protocol):
    """A meter that is files of the device: a Meter whose window() comes after take().

    isinstance() tells it from others once it is open.

    files: absolute paths, for the runner's watch=
    """

    facts: Facts
    files: tuple[str, ...]

    def open(self) -> None:
        """See that the files are there and make sense."""

    def take(self, readings: Mapping[str, Sequence[Reading]]) -> None:
        """What the runner read: file -> its readings in order. Raises BadReply."""

    def idle(self, seconds: float) -> Window:
        """Read the files from the host for a while, in the host's time, while the device does nothing."""

    def window(self, begin_s: float, end_s: float) -> Window:
        """Of what was taken, in the device's time."""

    def close(self) -> None:
        """Nothing is held."""
