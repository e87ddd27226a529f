"""Joulescope JS110 and JS220, by the `joulescope` package (1.5): the statistics that the instrument sends.

It samples 2 million times a second and adds energy up itself; a statistics message holds joules since the
first (accumulators.energy) and the seconds of its own clock that it reaches to (time.range), so that a lost
message loses no energy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
import threading

import numpy as np

from toolchain.device.boards import MeterConfig
from toolchain.device.clock import raw_clock_s
from toolchain.device.meters.background import SampleClock
from toolchain.device.meters.meter import Facts, Series, Window
from toolchain.errors import BadReply, DeviceLost, DeviceUnavailable

RATE_HZ = 50
PATIENCE_S = 2.0
FACTS = Facts(kind="joulescope", tier="external meter", rails=("supply",), reads="counter", rate_hz=RATE_HZ,
              resolution=1e-6, gain_error=0.01, offset_mw=0.0, lag_s=0.005,
              note="the drop of its own shunt is before the board's terminals",
              source="1 % is wider than its data sheet states for any range; gain_error: its certificate's")


class Joulescope:
    """A Meter. config.address: the instrument's own number; may be empty where one is plugged in."""

    def __init__(self, config: MeterConfig, now=raw_clock_s):
        self._name, self._config, self._now = f"meter '{config.name}' (Joulescope)", config, now
        self.facts = replace(FACTS, gain_error=config.gain_error or FACTS.gain_error,
                             offset_mw=abs(config.offset_ma) * (config.supply_mv or 5000) / 1000)
        self._device = None

    def open(self) -> None:
        """Find it and begin to count. It passes current through, and supplies none itself."""
        device = self._found()
        self._clock, self._changed = SampleClock(RATE_HZ), threading.Condition()
        self._reached_s, self._energy_mj = [], []
        try:
            device.parameter_set("reduction_frequency", f"{RATE_HZ} Hz")
            device.open()
            device.parameter_set("i_range", "auto")
            device.parameter_set("v_range", "15V")
            device.statistics_callback_register(self._take)
        except Exception:
            device.close()
            raise DeviceUnavailable(f"{self._name}: cannot be opened; another program may have it open, or "
                                    f"udev's rules are missing") from None
        self._device = device
        with self._changed:
            measures = self._changed.wait_for(lambda: len(self._reached_s) > 1, PATIENCE_S)
        if not measures:
            self.close()
            raise DeviceLost(f"{self._name}: no statistics within {PATIENCE_S:g} s of its opening")

    def window(self, begin_s: float, end_s: float) -> Window:
        """Energy is known 50 times a second, and power taken as flat in between."""
        seconds = max(end_s - self._now(), 0) + PATIENCE_S
        with self._changed:
            if not self._changed.wait_for(lambda: self._reaches(end_s), seconds):
                raise DeviceLost(f"{self._name}: no statistics for {PATIENCE_S:g} s; is it still plugged in?")
            series = Series.of(self._times(self._reached_s), self._energy_mj)
        return Window(self.facts, begin_s, end_s, series.around(begin_s, end_s))

    def close(self) -> None:
        """A second time does nothing."""
        device, self._device = self._device, None
        if device is not None:
            device.statistics_callback_unregister(self._take)
            device.close()

    def _found(self):
        try:
            import joulescope
        except ImportError:
            raise DeviceUnavailable(f"{self._name}: the package joulescope is missing; "
                                    f"pip install 'edge-toolchain[joulescope]'") from None
        devices = [device for device in joulescope.scan(config="auto")
                   if str(device).endswith(self._config.address)]
        if len(devices) != 1:
            raise DeviceUnavailable(f"{self._name}: {len(devices)} found; plug one in, or give the number on "
                                    f"its back as the meter's address")
        return devices[0]

    def _take(self, statistics: Mapping) -> None:
        """Called by the package's own thread, in which nothing may be raised."""
        arrived = self._now()
        with self._changed:
            self._reached_s.append(float(statistics["time"]["range"]["value"][1]))
            self._energy_mj.append(float(statistics["accumulators"]["energy"]["value"]) * 1000)
            self._clock.arrived(self._reached_s[-1] * RATE_HZ, arrived)
            self._changed.notify_all()

    def _reaches(self, end_s: float) -> bool:
        if any(b <= a for a, b in zip(self._reached_s[-2:], self._reached_s[-1:])):
            raise BadReply(f"{self._name}: its time does not go forward")
        return len(self._reached_s) > 1 and self._times(self._reached_s[-1:])[0] >= end_s

    def _times(self, reached_s: Sequence[float]) -> np.ndarray:
        """The host's, of its own."""
        return self._clock.times_s(np.asarray(reached_s) * RATE_HZ - 1)
