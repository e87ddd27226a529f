"""A board's power over time whose energy is known in closed form, and a serial line in time of its own."""

from dataclasses import dataclass
from math import cos, pi
import threading

import numpy as np


@dataclass(frozen=True)
class Load:
    """idle_mw but for [begin_s, end_s], where it is active_mw and a sine of ripple_mw at ripple_hz on it."""

    begin_s: float
    end_s: float
    idle_mw: float = 2.0
    active_mw: float = 20.0
    ripple_mw: float = 5.0
    ripple_hz: float = 37.0

    def mw(self, time_s: float | np.ndarray) -> np.ndarray:
        """Power then."""
        ripple = self.ripple_mw * np.sin(2 * pi * self.ripple_hz * (time_s - self.begin_s))
        active = (self.begin_s <= time_s) & (time_s < self.end_s)
        return np.where(active, self.active_mw + ripple, self.idle_mw)

    def mj(self, until_s: float) -> float:
        """Energy since time 0."""
        inside = min(max(until_s - self.begin_s, 0.0), self.end_s - self.begin_s)
        wave = 2 * pi * self.ripple_hz
        ripple = self.ripple_mw * (1 - cos(wave * inside)) / wave
        return self.idle_mw * (until_s - inside) + self.active_mw * inside + ripple

    @property
    def active_mj(self) -> float:
        """Of [begin_s, end_s]: what a meter ought to see."""
        return self.mj(self.end_s) - self.mj(self.begin_s)


class VirtualLine:
    """The host's end of a meter's line: what `meter` sends comes when its own time says, and takes none.

    meter: has answer(data, now) -> bytes, and stream() -> (time_s, bytes) in order, from when it is started
    """

    def __init__(self, meter):
        self._meter, self._chunks, self._said, self._at_once = meter, iter(()), b"", threading.Event()
        self.now, self.name, self.closed, self.written = 0.0, "virtual", False, b""

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0)

    def write(self, data: bytes) -> None:
        self.written += data
        self._said += self._meter.answer(data, self.now)
        if self._meter.streaming:
            self._chunks = self._chunks if self._meter.streaming == "on" else self._meter.stream()
            self._meter.streaming = "on"
        else:
            self._chunks = iter(())

    def read(self, seconds: float) -> bytes:
        if self._said:
            said, self._said = self._said, b""
            return said
        chunk = next(self._chunks, None)
        if chunk is None:
            self._at_once.wait(0.002)
            return b""
        self.now, data = max(self.now, chunk[0]), chunk[1]
        return data

    def close(self) -> None:
        self.closed = True
